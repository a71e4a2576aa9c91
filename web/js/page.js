/** What every page does alike: it loads, shows that it does, keeps what it has when a load fails, and says so. */
import { html, nothing, render } from "./html.js";
import { poll } from "./live.js";

/**
 * A page over data that is polled.
 * @param {object} page
 * @param {Element} page.root
 * @param {(signal: AbortSignal) => Promise<object>} page.load
 * @param {(data: object) => unknown} page.template
 * @param {() => void} [page.drawn] called after each drawing of data
 * @param {number} [page.seconds] between two loads
 * @param {boolean} [page.ages] whether it shows ages, which go on while nothing else changes
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
    if (error) return html`<div class="page"><h1 tabindex="-1">Not available</h1>${failure(error, handle.refresh)}</div>`;
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

/** A message that something could not be loaded or done. */
export function failure(error, again) {
  return html`<div class="message error" role="alert">
    <p>${error.message}</p>
    <button type="button" class="small" @click=${() => again()}>Try again</button>
  </div>`;
}

/** What a list shows when it is empty. */
export function empty(title, text = nothing) {
  return html`<div class="empty"><strong>${title}</strong><span>${text}</span></div>`;
}

function missing(error) {
  return html`<h1 tabindex="-1">Not found</h1>
    <p>${error.message}</p>
    <p><a href="#/">To the overview</a></p>`;
}
