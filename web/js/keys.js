/** Keyboard shortcuts of the current page; `?` lists them. They are inactive while a field or a dialog has the focus. */
import { html } from "./html.js";
import { show } from "./dialog.js";

const ALWAYS = [
  ["?", "List the keyboard shortcuts", help],
  ["g", "Go to the overview", () => { location.hash = "#/"; }],
  ["i", "Go to the alerts", () => { location.hash = "#/alerts"; }],
];
let ofPage = [];

/**
 * Set the keyboard shortcuts of a page.
 * @param {[key: string, meaning: string, run: () => void][]} keys
 */
export function setKeys(keys) {
  ofPage = keys;
}

function help() {
  show("Keyboard shortcuts", html`<dl class="keys">
    ${[...ofPage, ...ALWAYS].map(([key, meaning]) => html`<dt><kbd>${key}</kbd></dt><dd>${meaning}</dd>`)}
  </dl>`);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, select, textarea, [contenteditable]") && event.target.type !== "checkbox") return;
  const found = [...ofPage, ...ALWAYS].find(([key]) => key === event.key);
  if (!found || !found[2]) return;
  event.preventDefault();
  found[2]();
});
