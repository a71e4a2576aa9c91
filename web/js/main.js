/** Start of the dashboard: opens the page that the URL names and draws the side bar. */
import { get } from "./api.js";
import { announce } from "./announce.js";
import { zone } from "./format.js";
import { html, nothing, render } from "./html.js";
import { setKeys } from "./keys.js";
import { onConnection } from "./live.js";
import { parse } from "./router.js";
import { setViewer, viewer } from "./viewer.js";
import { nextTheme, theme } from "./theme.js";

const CONNECTIONS = { live: "Live", paused: "Paused", offline: "Offline, retrying" };
const top = document.querySelector(".top");
const menu = document.querySelector(".menu-button");
const main = document.getElementById("main");
let open = null;
let turn = 0;
let connection = "live";

async function showPage() {
  const mine = ++turn;
  const first = open === null;
  const route = parse(location.hash);
  toggleMenu(false);
  markCurrent(route?.path ?? "");
  open?.close();
  open = { close() {} };
  setKeys([]);
  const root = document.createElement("div");
  const page = await import(`./pages/${route?.page ?? "missing"}.js`).catch(() => null);
  if (mine !== turn) return;
  if (!page) {
    announce("This page could not be loaded. Reload to try again.", "error");
    return;
  }
  document.title = `${page.title} – Sensorwatch`;
  main.replaceChildren(root);
  open = page.open({ root, id: route?.id ?? null, query: route?.query ?? new URLSearchParams() });
  if (!first) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
}

function markCurrent(path) {
  for (const link of document.querySelectorAll("#nav a[href]")) {
    const target = link.getAttribute("href").slice(1);
    const current = target === "/" ? path === "/" : path === target || path.startsWith(`${target}/`);
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function toggleMenu(opened) {
  top.toggleAttribute("data-open", opened);
  menu.setAttribute("aria-expanded", String(opened));
}

function drawTools() {
  const { name, roles } = viewer();
  render(
    html`<span class="live" data-state=${connection}>${CONNECTIONS[connection]}</span>
      <div class="row">
        <button type="button" class="small" @click=${() => { nextTheme(); drawTools(); }}>Theme: ${theme()}</button>
      </div>
      <p>${name ? html`${name}${roles.includes("operator") ? nothing : " (read only)"}` : nothing}</p>
      <p>Times are in ${zone}; hover for UTC. Press <kbd>?</kbd> for keyboard shortcuts.</p>`,
    document.getElementById("tools"),
  );
}

onConnection((state) => {
  if (state === connection) return;
  connection = state;
  drawTools();
});
menu.addEventListener("click", () => toggleMenu(!top.hasAttribute("data-open")));
document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", showPage);
drawTools();
showPage();
get("/api/me").then(setViewer).then(drawTools, (error) => announce(error.message, "error"));
