/** Why a window is anomalous: in a sentence, and what each detector says as bars. */
import { number, time } from "../format.js";
import { html, nothing } from "../html.js";
import { bar } from "./bars.js";

/**
 * What explains an anomaly.
 * @param {object} anomaly answer of `/api/sensors/{id}/anomalies/{end}`
 * @param {object} does
 * @param {(by: number) => void} does.step go to the next one, or the one before
 * @param {() => void} does.close
 */
export function explanation(anomaly, { step, close }) {
  return html`<section class="why section" aria-labelledby="why-title">
    <div class="section-head">
      <h3 id="why-title">Why ${time(anomaly.ts)} is anomalous</h3>
      <div class="chart-tools">
        <button type="button" class="small" @click=${() => step(-1)}>Anomaly before</button>
        <button type="button" class="small" @click=${() => step(1)}>Next anomaly</button>
        <button type="button" class="small" @click=${close}>Close</button>
      </div>
    </div>
    <p data-why>${anomaly.explanation ?? "Nobody noted why: it was found before explanations were kept."}</p>
    ${anomaly.members.length > 1 ? members(anomaly.members) : nothing}
    ${anomaly.pattern ? html`<p class="soft">The line over the values is the usual pattern that comes nearest to the last ${number(anomaly.pattern.windows)} windows.</p>` : nothing}
  </section>`;
}

function members(all) {
  return html`<table class="members">
    <caption class="hidden-visually">What each detector says of it</caption>
    <thead><tr><th scope="col">Detector</th><th scope="col" class="number">Score</th><th scope="col"><span class="hidden-visually">Score as a bar</span></th><th scope="col" class="number">Weight</th></tr></thead>
    <tbody>${all.map((each) => html`<tr class=${each.fired ? "fired" : nothing}>
      <th scope="row">${each.name} ${each.fired ? html`<span class="badge tone-critical">fired</span>` : nothing}</th>
      <td class="number">${each.score}</td>
      <td>${bar([[each.fired ? "critical" : "quiet", each.score], ["none", 100 - each.score]], "progress")}</td>
      <td class="number">${Math.round(each.weight * 100)} %</td>
    </tr>`)}</tbody>
  </table>`;
}
