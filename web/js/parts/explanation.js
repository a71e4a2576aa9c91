/** Explanation of an anomalous window: a sentence, and the score of each detector behind details. */
import { number, time } from "../format.js";
import { html, nothing } from "../html.js";
import { bar } from "./bars.js";

/**
 * Render the explanation of an anomaly.
 * @param {object} anomaly answer of `/api/sensors/{id}/anomalies/{end}`
 * @param {object} does
 * @param {(by: number) => void} does.step go forward or back by a number of anomalies
 * @param {() => void} does.close
 */
export function explanation(anomaly, { step, close }) {
  return html`<section class="why section" aria-labelledby="why-title">
    <div class="section-head">
      <h3 id="why-title">Why ${time(anomaly.ts)} is anomalous</h3>
      <div class="chart-tools">
        <button type="button" class="small" @click=${() => step(-1)}>Previous anomaly</button>
        <button type="button" class="small" @click=${() => step(1)}>Next anomaly</button>
        <button type="button" class="small" @click=${close}>Close</button>
      </div>
    </div>
    <p data-why>${anomaly.explanation ?? "No explanation is stored: the anomaly was found before explanations were recorded."}</p>
    ${anomaly.members.length > 1 ? members(anomaly.members) : nothing}
    ${anomaly.pattern ? html`<p class="soft">The line over the values is the usual pattern that is nearest to the last ${number(anomaly.pattern.windows)} windows.</p>` : nothing}
  </section>`;
}

function members(all) {
  return html`<details><summary>Scores of the detectors</summary><table class="members">
    <caption class="hidden-visually">Score and weight of each detector</caption>
    <thead><tr><th scope="col">Detector</th><th scope="col" class="number">Score</th><th scope="col"><span class="hidden-visually">Score as a bar</span></th><th scope="col" class="number">Weight</th></tr></thead>
    <tbody>${all.map((each) => html`<tr class=${each.fired ? "fired" : nothing}>
      <th scope="row">${each.name} ${each.fired ? html`<span class="badge tone-critical">fired</span>` : nothing}</th>
      <td class="number">${each.score}</td>
      <td>${bar([[each.fired ? "critical" : "quiet", each.score], ["none", 100 - each.score]], "progress")}</td>
      <td class="number">${Math.round(each.weight * 100)} %</td>
    </tr>`)}</tbody>
  </table></details>`;
}
