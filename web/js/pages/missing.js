/** Page for an unknown URL. */
import { html, render } from "../html.js";

export const title = "Not found";

/** Show the page. */
export function open({ root }) {
  render(html`<div class="page"><h1>Not found</h1><p>There is no page at this address. <a href="#/">Go to the overview</a></p></div>`, root);
  return { close() {} };
}
