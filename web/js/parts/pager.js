/** Links between the pages of a list; each page has an address of its own, so the back button goes back. */
import { counted } from "../format.js";
import { html, nothing } from "../html.js";
import { link } from "../router.js";

/**
 * Links to the first and the next page.
 * @param {string} path of the list, such as `/alerts`
 * @param {URLSearchParams} query the address's parameters
 * @param {{items: unknown[], next: string | null}} page
 * @param {string} noun of one item
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
