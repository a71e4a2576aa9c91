/** An address that leads nowhere. */
import { html, render } from "../html.js";

export const title = "Not found";

/** Show it. */
export function open({ root }) {
  render(html`<div class="page"><h1>Not found</h1><p>There is no such page. <a href="#/">To the overview</a></p></div>`, root);
  return { close() {} };
}
