// The promise: what was stated, what was measured, and what another promise would cost.
import { chart } from "../core/charts.js";
import { byId, el, fill, toast } from "../core/dom.js";
import { number, percent, t } from "../core/texts.js";
import { confirmed } from "./dashboard_ask.js";
import { call } from "./desk_session.js";

let found = null, opinions = null, shown = "";

/** Show what GET /v1/admin/promise gave. */
export function showPromise(promise) {
  found = promise;
  const now = JSON.stringify(promise);
  if (now !== shown) {
    shown = now;
    showSaid();
    showSlider();
  }
  showMeasured();
}

/** The thumbs of the time chosen, beside it. */
export function showOpinions(judged) {
  opinions = judged;
  if (found) showMeasured();
}

function showSaid() {
  const { risk, promised, at_threshold: at, held_out_rows: rows, held_out_oos_rows: outside } = found;
  fill(byId("promise-said"),
    el("span.badge", { class: promised ? "badge good" : "badge warn" }, promised ? t("kept") : t("no promise")), " ",
    promised ? t("At most {risk} of the automatic answers may be wrong; the model shows that it keeps this.", { risk: percent(risk) })
      : t("At most {risk} may be wrong was asked for, and the held-out questions are too few, or too hard, to promise it. The bot answers less instead. More questions to train on, and questions marked oos, mend that.", { risk: percent(risk) }),
    " ", at && t("On {n} held-out questions it answers {coverage} of those that it could know.", { n: number(rows + outside), coverage: percent(at.coverage, 0) }));
}

function showMeasured() {
  const { risk, at_threshold: at } = found;
  const lines = [
    at && { name: t("Held-out"), share: at.risk, low: 0, high: at.upper, text: t("{share}, at most {high}", { share: percent(at.risk), high: percent(at.upper) }), oneSided: true },
    opinions?.judged > 0 && { name: t("Thumbs"), share: opinions.share, low: opinions.low, high: opinions.high, text: t("{share}, {low} to {high}", { share: percent(opinions.share), low: percent(opinions.low), high: percent(opinions.high) }) },
  ].filter(Boolean);
  const told = [t("Promised: at most {risk}", { risk: percent(risk) }), ...lines.map((line) => `${line.name}: ${line.text}`)].join(". ");
  const node = byId("promise-chart");
  if (node.getAttribute("aria-label") === told) return;
  const top = Math.max(risk, ...lines.map((line) => line.high)) * 1.15;
  chart(node, told, (c) => ({
    data: lines.map((line) => ({
      type: "scatter", mode: "markers", x: [line.share], y: [`<b>${line.name}</b><br>${line.text}`], cliponaxis: false, hoverinfo: "skip",
      marker: { size: 13, color: line.share <= risk ? c.brand : line.low > risk ? c.negative : c.warn },
      error_x: { type: "data", symmetric: false, array: [line.high - line.share], arrayminus: [line.oneSided ? 0 : line.share - line.low], color: c.muted, thickness: 2, width: 6 },
    })),
    layout: {
      hovermode: "closest", margin: { l: 60, r: 16, t: 26, b: 34 }, xaxis: { range: [0, top], tickformat: ",.0%", nticks: 6 },
      yaxis: { type: "category", range: [lines.length - .4, -.7], rangemode: "normal", showgrid: false },
      shapes: [{ type: "line", x0: risk, x1: risk, yref: "paper", y0: 0, y1: 1, line: { color: c.ink, width: 2, dash: "dash" } }],
      annotations: [{ x: risk, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: t("promised {risk}", { risk: percent(risk) }), font: { color: c.ink } }],
    },
  }));
}

// --- the slider ---

const chosen = () => found.choices[Number(byId("risk").value)];
const now = () => found.choices.findIndex((choice) => choice.risk === found.risk);

function showSlider() {
  const { choices } = found;
  byId("choose").hidden = !choices.length;
  byId("no-choice").hidden = choices.length > 0;
  byId("curve").hidden = !found.curve.length;
  const slider = byId("risk");
  slider.max = String(Math.max(0, choices.length - 1));
  slider.value = String(Math.max(0, now()));
  showChoice();
}

function showChoice() {
  const choice = chosen();
  if (choice) {
    byId("risk-value").textContent = percent(choice.risk);
    byId("risk").setAttribute("aria-valuetext", percent(choice.risk));
    byId("cost").textContent = cost(choice);
    byId("keep").disabled = choice.risk === found.risk;
  }
  showCurve(choice);
}

/** What this promise would do, in words. */
function cost({ risk, promised, point }) {
  if (!point) return "";
  const before = found.at_threshold?.coverage ?? 0;
  const change = Math.round(100 * point.coverage) - Math.round(100 * before);
  const answers = t("It would answer {coverage} of the questions that it could know; {share} of its answers were wrong, at most {upper} with 95 % confidence.", { coverage: percent(point.coverage, 0), share: percent(point.risk), upper: percent(point.upper) });
  if (risk === found.risk) return t("This is the promise of now.") + " " + answers;
  const beside = change === 0 ? t("As many as now.") : change < 0
    ? t("Of 100 questions {n} fewer than now are answered automatically; they go to articles, a question back, or a person.", { n: -change })
    : t("Of 100 questions {n} more than now are answered automatically.", { n: change });
  return [answers, beside, !promised && t("That cannot be promised with so few held-out questions: it would be a cautious guess.")].filter(Boolean).join(" ");
}

function showCurve(choice) {
  if (!found.curve.length) return;
  const { curve, at_threshold: at } = found;
  const x = curve.map((point) => point.coverage);
  const wrong = curve.map((point) => point.risk);
  const last = curve.at(-1).upper;
  const point = choice?.point;
  chart(byId("curve"), t("Risk-coverage curve. Chosen: {risk} wrong at most answers {coverage}.", { risk: percent(choice?.risk), coverage: percent(point?.coverage, 0) }), (c) => ({
    data: [
      { type: "scatter", mode: "lines", x, y: curve.map((p) => Math.min(p.upper, last)), line: { width: 0 }, hoverinfo: "skip" },
      { type: "scatter", mode: "lines", x, y: wrong, fill: "tonexty", fillcolor: c.band, line: { color: c.brand, width: 2.5 }, hovertemplate: `${t("wrong")}: %{y:.1%}<extra></extra>` },
      at && { type: "scatter", mode: "markers", cliponaxis: false, x: [at.coverage], y: [at.risk], marker: { size: 11, color: c.card, line: { color: c.brand, width: 3 } }, hoverinfo: "skip" },
      point && { type: "scatter", mode: "markers", cliponaxis: false, x: [point.coverage], y: [point.risk], marker: { size: 13, color: c.negative }, hoverinfo: "skip" },
    ].filter(Boolean),
    layout: {
      margin: { l: 44, r: 10, t: 10, b: 44 },
      xaxis: { tickformat: ",.0%", range: [0, 1.02], title: { text: t("questions answered automatically"), font: { size: 12 } } },
      yaxis: { tickformat: ",.0%", title: { text: t("of these wrong"), font: { size: 12 } }, nticks: 6 },
      shapes: choice ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: choice.risk, y1: choice.risk, line: { color: c.negative, width: 1.5, dash: "dot" } }] : [],
    },
  }));
}

/** `changed` runs after another promise went live. */
export function wirePromise(changed) {
  byId("risk").addEventListener("input", showChoice);
  byId("keep").addEventListener("click", async () => {
    const choice = chosen();
    const sure = await confirmed(t("At most {risk} may be wrong?", { risk: percent(choice.risk) }), cost(choice) + " " + t("It becomes a new version of the model, live at once; you can roll it back."), t("Make this the promise"));
    if (!sure) return;
    try {
      showPromise(await call("/v1/admin/promise", { method: "POST", body: { risk: choice.risk, version: found.version } }));
      toast(t("The promise of {risk} is live.", { risk: percent(choice.risk) }));
      await changed();
    } catch (error) { toast(error.message, "bad"); }
  });
}
