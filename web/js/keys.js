/** Keys of the page that is open; `?` lists them. They rest while somebody types or a dialog is open. */
import { html } from "./html.js";
import { show } from "./dialog.js";

const ALWAYS = [
  ["?", "Show these keys", help],
  ["g", "To the overview", () => { location.hash = "#/"; }],
  ["i", "To the alert inbox", () => { location.hash = "#/alerts"; }],
];
let ofPage = [];

/**
 * Set the keys of a page.
 * @param {[key: string, meaning: string, run: () => void][]} keys
 */
export function setKeys(keys) {
  ofPage = keys;
}

function help() {
  show("Keys", html`<dl class="keys">
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
