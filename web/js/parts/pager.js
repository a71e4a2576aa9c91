/** Links between the pages of a list. Each page has its own URL, so that the back button works. */
import { counted } from "../format.js";
import { html, nothing } from "../html.js";
import { link } from "../router.js";

/**
 * Render links to the first and the next page.
 * @param {string} path of the list, such as `/alerts`
 * @param {URLSearchParams} query parameters of the URL
 * @param {{items: unknown[], next: string | null}} page
 * @param {string} noun singular name of an item
 */
export function pager(path, query, page, noun) {
  const others = Object.fromEntries([...query].filter(([name]) => name !== "after"));
  return html`<nav class="pager" aria-label="Pages">
    <span>${counted(page.items.length, noun)} on this page</span>
    <span class="actions">
      ${query.get("after") ? html`<a class="button small" href=${link(path, others)}>First page</a>` : nothing}
      ${page.next ? html`<a class="button small" href=${link(path, { ...others, after: page.next })}>Next page</a>` : nothing}
    </span>
  </nav>`;
}
