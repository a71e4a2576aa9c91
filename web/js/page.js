/** Loading, errors and empty lists, common to all pages. After a failed load a page keeps the data that it has. */
import { html, nothing, render } from "./html.js";
import { poll } from "./live.js";

/**
 * Show a page whose data is polled.
 * @param {object} page
 * @param {Element} page.root
 * @param {(signal: AbortSignal) => Promise<object>} page.load
 * @param {(data: object) => unknown} page.template
 * @param {() => void} [page.drawn] called each time after data was drawn
 * @param {number} [page.seconds] from the end of one load to the next
 * @param {boolean} [page.ages] redraw after every load, because the page shows ages, which grow while the data stays the same
 */
export function livePage({ root, load, template, drawn = () => {}, seconds = 5, ages = false }) {
  let data = null;
  let error = null;
  let before = null;

  function draw() {
    render(shown(), root);
    if (data) drawn();
  }

  function shown() {
    if (data) return html`<div class="page">${error ? failure(error, handle.refresh) : nothing}${template(data)}</div>`;
    if (error?.status === 404) return html`<div class="page">${missing(error)}</div>`;
    if (error) return html`<div class="page"><h1 tabindex="-1">Could not load this page</h1>${failure(error, handle.refresh)}</div>`;
    return html`<div class="page"><p class="waiting" role="status">Loading…</p></div>`;
  }

  const handle = poll({
    load,
    seconds,
    seen(loaded) {
      const values = Object.values(loaded);
      const same = !error && before && values.every((value, i) => value === before[i]);
      [data, error, before] = [loaded, null, values];
      if (!same || ages) draw();
      if (!performance.getEntriesByName("first-content").length) performance.mark("first-content");
    },
    failed(problem) {
      error = problem;
      draw();
    },
  });
  draw();
  return { draw, refresh: handle.refresh, close: handle.stop, get data() { return data; } };
}

/** Error message with a button to try again. */
export function failure(error, again) {
  return html`<div class="message error" role="alert">
    <p>${error.message}</p>
    <button type="button" class="small" @click=${() => again()}>Try again</button>
  </div>`;
}

/** Placeholder of an empty list. */
export function empty(title, text = nothing) {
  return html`<div class="empty"><strong>${title}</strong><span>${text}</span></div>`;
}

function missing(error) {
  return html`<h1 tabindex="-1">Not found</h1>
    <p>${error.message}</p>
    <p><a href="#/">Go to the overview</a></p>`;
}
