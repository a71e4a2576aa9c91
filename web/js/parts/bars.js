/** Stacked bar of shares; hidden from screen readers, as the text beside it says the same. */
import { html, svg } from "../html.js";

/**
 * Render a stacked bar.
 * @param {[tone: string, value: number][]} shares
 * @param {string} [name] CSS class of the element
 */
export function bar(shares, name = "bar") {
  const total = shares.reduce((sum, [, value]) => sum + value, 0) || 1;
  let start = 0;
  const pieces = shares.map(([tone, value]) => {
    const width = (value / total) * 100;
    start += width;
    return svg`<rect class=${`fill-${tone}`} x=${start - width} y="0" width=${width} height="1"></rect>`;
  });
  return html`<span class=${name} aria-hidden="true"><svg viewBox="0 0 100 1" preserveAspectRatio="none">${pieces}</svg></span>`;
}
