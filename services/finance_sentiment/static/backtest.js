// What each promise would have meant. The server works it out once; the slider only chooses.
import { api, Problem, refreshing } from "../core/api.js";
import { chart } from "../core/charts.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { moment, number, percent, t } from "../core/texts.js";
import { keyed } from "./keyed.js";
import { detectorName, nameAxis, onClock, seriesName, ticking, timeAxis, topicName } from "./words.js";

const DAY = 86_400_000;
let result = null, at = null;

async function load() {
  const found = await api("/v1/backtest");
  byId("computing").hidden = found.state !== "computing";
  if (found.state === "computing") {
    byId("progress").value = found.progress;
    byId("computing-text").textContent = found.result ? t("Another hour is over: working it out anew …") : t("Walking through your stored news …");
    setTimeout(look, 1000);
  }
  if (found.result && found.result.computed_at !== result?.computed_at) take(found.result);
  if (found.state === "failed" && !found.result) nothing(t("That did not work"), t("The server's log says why. It is tried again by itself."));
}

function take(fresh) {
  result = fresh;
  const { budgets } = result;
  byId("result").hidden = !budgets.length;
  byId("nothing").hidden = budgets.length > 0;
  topics();
  if (!budgets.length) {
    nothing(t("Too little history"), t("It takes three days and a hundred labelled stories; there are {n} so far. Let the worker gather more, or bring past stories in.", { n: number(result.stories) }));
    return;
  }
  const slider = byId("budget");
  slider.max = String(budgets.length - 1);
  at = at != null && at < budgets.length ? at : budgets.findIndex((one) => one.in_force);
  slider.value = String(at);
  fill(byId("stops"), budgets.map((one) => el("span", {}, number(one.false_alarms_per_week))));
  byId("span").textContent = t("{n} stories from {since} to {until}; watched for {weeks} weeks, after what is normal was first learned.", {
    n: number(result.stories), since: moment(result.since), until: moment(result.until), weeks: number(Math.round(result.watched_weeks * 10) / 10) });
  choose();
}

function nothing(title, hint) {
  byId("nothing").hidden = false;
  fill(byId("nothing"), el("div.card", {}, empty(title, hint)));
}

byId("budget").addEventListener("input", (event) => { at = Number(event.target.value); choose(); });

function choose() {
  const one = result.budgets[at];
  const values = { accepted: number(one.false_alarms_per_week), n: number(one.alerts.length), week: number(Math.round(one.alerts_per_week * 10) / 10), delay: number(Math.round((one.mean_delay_hours ?? 0) * 10) / 10) };
  const shown = one.alerts.length
    ? t("{accepted} a week accepted: {n} alerts, that is {week} a week, on average {delay} h after the evidence began to gather.", values)
    : t("{accepted} a week accepted: no alert at all.", values);
  byId("answer").textContent = shown;
  byId("budget").setAttribute("aria-valuetext", shown);
  fill(byId("adopt"), one.in_force ? t("This is what is in force.")
    : [t("To have it so, start the services with"), " ", el("code", {}, `TREFOIL_FINANCE_SENTIMENT_FALSE_ALARMS_PER_WEEK=${one.false_alarms_per_week}`), "."]);
  timeline(one);
  beside();
  keyed(byId("list"), one.alerts.toReversed().map((alert) => ({ ...alert, key: `${seriesName(alert)} ${alert.started_at}` })), (alert) => alert.key, row);
  if (!one.alerts.length) fill(byId("list"), el("li", { dataset: { key: "none" } }, t("None at this number.")));
}

function row(alert) {
  const share = alert.stories ? t("{share} of {n} stories negative", { share: percent(alert.negative / alert.stories, 0), n: number(alert.stories) }) : "";
  return el("li", {}, el("strong", {}, seriesName(alert)), " ", moment(alert.started_at), el("br"),
    el("small", {}, [share, detectorName(alert.detector), alert.resolved_at ? t("over {when}", { when: moment(alert.resolved_at) }) : t("still open at the end")].filter(Boolean).join(" · ")));
}

const end = (alert) => new Date(alert.resolved_at ?? result.until);
const overlaps = (a, b) => a.topic === b.topic && a.company === b.company && new Date(a.started_at) <= end(b) && new Date(b.started_at) <= end(a);

function timeline(one) {
  const loosest = result.budgets.at(-1).alerts.filter((alert) => !one.alerts.some((other) => overlaps(alert, other)));
  const names = [...new Set([...result.topics.map(topicName), ...result.budgets.at(-1).alerts.map(seriesName), ...one.alerts.map(seriesName)])].sort().toReversed();
  const node = byId("when");
  node.style.height = `${Math.max(200, 60 + 26 * names.length)}px`;
  const lines = { x: [], y: [] };
  for (const alert of one.alerts) { lines.x.push(onClock(alert.started_at), onClock(end(alert)), null); lines.y.push(seriesName(alert), seriesName(alert), null); }
  const points = (alerts) => ({ x: alerts.map((alert) => onClock(alert.started_at)), y: alerts.map(seriesName), customdata: alerts.map((alert) => evidence(alert)), hovertemplate: "%{y}<br>%{x}<br>%{customdata}<extra></extra>", mode: "markers" });
  const told = t("{n} alerts at {accepted} a week accepted; {more} more at the largest number.", { n: one.alerts.length, accepted: number(one.false_alarms_per_week), more: loosest.length });
  chart(node, told, (c) => ({
    data: [
      { ...lines, mode: "lines", line: { color: c.negative, width: 5 }, hoverinfo: "skip", connectgaps: false },
      { ...points(loosest), marker: { symbol: "circle-open", size: 9, color: c.muted, line: { width: 1.5 } } },
      { ...points(one.alerts), marker: { size: 11, color: c.negative } },
    ],
    layout: {
      hovermode: "closest", margin: { l: 8, r: 14, t: 6, b: 34 },
      xaxis: { ...timeAxis(), range: [onClock(result.since), onClock(new Date(result.until).getTime() + DAY / 4)] },
      yaxis: { ...nameAxis(names), categoryorder: "array", categoryarray: names, range: [-0.6, names.length - 0.4] },
    },
  }));
}

const evidence = (alert) => (alert.stories ? t("{share} of {n} stories negative", { share: percent(alert.negative / alert.stories, 0), n: number(alert.stories) }) : "");

function beside() {
  const { budgets } = result;
  const labels = budgets.map((one) => number(one.false_alarms_per_week));
  const told = budgets.map((one) => t("{accepted} accepted, {week} realised", { accepted: number(one.false_alarms_per_week), week: number(Math.round(one.alerts_per_week * 10) / 10) })).join("; ");
  const faded = budgets.map((_, i) => (i === at ? 1 : 0.45));
  chart(byId("beside"), told, (c) => ({
    data: [
      { type: "bar", x: labels, y: budgets.map((one) => one.false_alarms_per_week), name: t("promised at most"), marker: { color: c.neutral, opacity: faded }, hovertemplate: `${t("promised at most")} %{y}<extra></extra>` },
      { type: "bar", x: labels, y: budgets.map((one) => one.alerts_per_week), name: t("realised"), marker: { color: c.negative, opacity: faded }, hovertemplate: `${t("realised")} %{y:.1f}<extra></extra>` },
    ],
    layout: { barmode: "group", showlegend: true, legend: { orientation: "h", y: 1.16, x: 0 }, xaxis: { type: "category", title: { text: t("accepted a week") } }, yaxis: { title: { text: t("alerts a week") } } },
  }));
}

async function loadMarked() {
  const seen = await api("/v1/overview");
  const values = { days: number(Math.round((seen.weeks_watched ?? 0) * 7)), n: number(Math.round((seen.alerts_per_week ?? 0) * (seen.weeks_watched ?? 0))), wrong: number(seen.marked_false), right: number(seen.marked_true) };
  byId("marked").textContent = seen.weeks_watched == null ? "" : t("Since the watch began, {days} days ago, it raised {n} alerts; people marked {wrong} as false and {right} as true.", values);
}

function topics() {
  const select = byId("drill-topic");
  if (select.dataset.print === result.topics.join()) return;
  select.dataset.print = result.topics.join();
  fill(select, el("option", { value: "" }, t("The one with most stories")), result.topics.map((topic) => el("option", { value: topic }, topicName(topic))));
}

byId("drill-share").addEventListener("input", (event) => { byId("drill-share-shown").textContent = percent(event.target.value / 100, 0); });
byId("drill").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { topic: byId("drill-topic").value, negative_share: byId("drill-share").value / 100, hours: Number(byId("drill-hours").value) };
  byId("drill-go").disabled = true;
  try {
    const done = await api("/v1/drill", { method: "POST", body });
    const values = { name: topicName(done.topic), negative: number(done.negative), n: number(done.stories), delay: number(done.delay_hours) };
    fill(byId("drilled"), done.alert_id == null
      ? t("{name}: {negative} of {n} made-up stories negative. That is too little for an alert; try a larger share or more hours.", values)
      : [t("{name}: {negative} of {n} made-up stories negative. The alert came {delay} h after the onset.", values), " ", el("a", { href: `/alerts/${done.alert_id}` }, t("See the TEST alert"))]);
  } catch (error) {
    fill(byId("drilled"), el("span.error", {}, error instanceof Problem ? error.message : t("The server cannot be reached; try again.")));
  } finally {
    byId("drill-go").disabled = false;
    byId("drill-go").focus();
  }
});

const look = refreshing(load, 60);
refreshing(loadMarked, 60);
ticking();
