// The live model: how it ranks beside simpler ways, how much it learnt, and the trainings.
import { api } from "../core/api.js";
import { byId, el, empty, fill, toast } from "../core/dom.js";
import { chart } from "../core/charts.js";
import { moment, number, percent, relative, t } from "../core/texts.js";
import { clear, figure, reachOf, ready } from "./dashboard_parts.js";

const RIVALS = {
  "": "this model", item_knn: "bought by the same people", ease: "EASE", ials: "iALS", frozen_text: "text as it stands",
  recent_popular: "popular of late", popular: "popular",
};
const RUNGS = [
  ["frozen", "As it stands", "texts by the base model, behaviour counted"],
  ["adapter", "Adapter", "a map on top of the texts, learnt from behaviour"],
  ["top_layers", "Top layers", "the last layers of the language model, tuned"],
  ["all_layers", "All layers", "the whole language model, tuned"],
];
const METRICS = {
  "ndcg@10": "How well the first ten places are ordered, on what shoppers took later; the line is the 95 % interval.",
  "recall@10": "The share of what shoppers took later that stands among the first ten.",
  "recall@20": "The share of what shoppers took later that stands among the first twenty.",
  coverage: "The share of the shop that stands in anybody's first ten.",
  ild: "How unlike the first ten are to each other.",
};
let metrics = null;

/** Everything about the model and its trainings. */
export async function loadModel() {
  const [model, trainings, versions] = await Promise.all([api("/v1/model"), api("/v1/trainings?limit=8"), api("/v1/models")]);
  metrics = model.metrics;
  showRung(model);
  showRivals();
  showTrainings(trainings.trainings, versions.models);
}

function showRung(model) {
  const place = RUNGS.findIndex(([name]) => name === model.rung);
  if (!model.model_version) figure(4, t("none"), t("Train one: press “Train now”, or run `trefoil recommender train`."));
  else figure(4, t(RUNGS[place]?.[1] ?? model.rung), t("version {name}, {when}", { name: model.model_version.slice(0, 8), when: relative(model.created_at) }));
  fill(byId("ladder"), RUNGS.map(([name, title, what], i) => el(`li${i === place ? ".here" : i < place ? ".done" : ""}`, { "aria-current": i === place ? "step" : null }, el("span", {}, el("strong", {}, t(title)), el("small", {}, t(what))))));
  fill(byId("ladder-why"), model.why ? t("Why here: {why}.", { why: t(model.why) }) : "");
  const { next } = model, bar = el("i");
  const share = next.needed_positive_events ? Math.min(1, next.new_positive_events / next.needed_positive_events) : 0;
  bar.style.width = `${100 * share}%`;
  fill(byId("next"), el("p", {}, el("strong", {}, t("Next training")), " ", next.at ? relative(next.at) : t("{n} of {all} new clicks and orders", { n: number(next.new_positive_events), all: number(next.needed_positive_events) })),
    el("span.bar", { "aria-hidden": true }, bar), next.at ? el("p", {}, el("small", {}, next.why)) : null);
}

function showRivals() {
  const box = byId("rivals"), slice = byId("slice").value, metric = byId("metric").value;
  const all = { "": metrics, ...metrics?.baselines };
  const found = Object.keys(RIVALS).map((name) => [name, slice ? all[name]?.slices?.[slice] : all[name]])
    .filter(([, told]) => told?.[metric] != null)
    .map(([name, told]) => ({ name, value: told[metric], ci: told[`${metric}_ci`] ?? [told[metric], told[metric]], users: told.users }));
  const users = found[0]?.users;
  fill(byId("rivals-said"), found.length ? t(METRICS[metric]) : "", users ? ` ${t("{n} shoppers.", { n: number(users) })}` : "");
  if (!found.length) {
    clear(box, metrics?.users == null && !metrics?.baselines ? t("No model is live yet.") : t("Too few shoppers to judge that by."), t("A model is judged on what shoppers did after its data ended."));
    return;
  }
  const rows = found.sort((a, b) => a.value - b.value), mine = rows.findIndex((row) => row.name === "");
  const plot = ready(box, 60 + rows.length * 34);
  chart(plot, rows.toReversed().map((row) => `${t(RIVALS[row.name])} ${percent(row.value)}`).join(", "), (c) => ({
    data: [{
      type: "scatter", mode: "markers", cliponaxis: false, x: rows.map((r) => r.value), y: rows.map((_, i) => i),
      error_x: { type: "data", symmetric: false, array: rows.map((r) => r.ci[1] - r.value), arrayminus: rows.map((r) => r.value - r.ci[0]), color: c.muted, thickness: 1.5, width: 5 },
      marker: { size: rows.map((_, i) => (i === mine ? 15 : 10)), color: rows.map((_, i) => (i === mine ? c.brand : c.neutral)), symbol: rows.map((_, i) => (i === mine ? "diamond" : "circle")) },
      hovertemplate: "%{x:.3f}<extra></extra>",
    }],
    layout: { hovermode: "closest", margin: { l: 10, r: 16, t: 4, b: 34 }, xaxis: { range: reachOf(rows) },
      yaxis: { tickvals: rows.map((_, i) => i), ticktext: rows.map((r, i) => (i === mine ? `<b>${t(RIVALS[r.name])}</b>` : t(RIVALS[r.name]))), range: [-0.6, rows.length - 0.4], showgrid: false } },
  }));
}

const STATES = {
  asked: ["waiting for the worker", "warn"], running: ["under way", "warn"], promoted: ["live since then", "good"],
  refused: ["not better, not taken", ""], failed: ["failed", "negative"], given: ["put live by hand", "good"],
};
const CAUSES = { first: "the first", growth: "enough came", asked: "asked for", retry: "tried again", "": "" };

function showTrainings(trainings, versions) {
  const live = versions.find((version) => version.live);
  fill(byId("trainings"), trainings.map((one) => {
    const [word, kind] = STATES[one.state];
    const isLive = live && one.version === live.model_version;
    return el("li.training", {}, el(`span.badge${kind && `.${kind}`}`, {}, isLive ? t("live") : t(word)),
      el("span.grow", {}, [one.version?.slice(0, 8), CAUSES[one.cause] && t(CAUSES[one.cause]), one.rung && t(RUNGS.find(([name]) => name === one.rung)?.[1] ?? one.rung)].filter(Boolean).join(" · "),
        one.reasons.length || one.why ? el("small", {}, " ", one.reasons.length ? one.reasons.join("; ") : one.why) : null),
      el("small", {}, moment(one.ended_at ?? one.started_at ?? one.created_at)));
  }), versions.filter((version) => !trainings.some((one) => one.version === version.model_version)).map((version) =>
    el("li.training", {}, el(`span.badge${version.live ? ".good" : ""}`, {}, version.live ? t("live") : t("kept")),
      el("span.grow", {}, [version.model_version.slice(0, 8), t("put live by hand"), version.rung && t(RUNGS.find(([name]) => name === version.rung)?.[1] ?? version.rung)].filter(Boolean).join(" · ")), el("small", {}, moment(version.created_at)))));
  if (!trainings.length && !versions.length) fill(byId("trainings"), el("li", {}, empty(t("Nothing was trained yet."), t("The worker trains when enough came: `trefoil recommender worker`."))));
  byId("back").hidden = !(live && versions.some((version) => version.number < live.number));
}

byId("slice").addEventListener("change", showRivals);
byId("metric").addEventListener("change", showRivals);
byId("train").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  try {
    await api("/v1/trainings", { method: "POST" });
    toast(t("Asked: the worker trains next. The new model goes live only if it is not worse."));
    await loadModel();
  } catch (error) { toast(error.message, "bad"); } finally { button.disabled = false; }
});
byId("back").addEventListener("click", () => {
  fill(byId("sure-said"), t("The model that was live before answers again within a second. The present one stays, and can be promoted again."));
  byId("sure").returnValue = "";
  byId("sure").showModal();
});
byId("sure").addEventListener("close", async () => {
  if (byId("sure").returnValue !== "yes") return;
  try {
    const { model_version: version } = await api("/v1/models/rollback", { method: "POST" });
    toast(t("Version {name} is live.", { name: version.slice(0, 8) }));
    await loadModel();
  } catch (error) { toast(error.message, "bad"); }
});
