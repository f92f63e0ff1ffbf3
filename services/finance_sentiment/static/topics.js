// Topics over time: a tile for each with its course beside what is normal, and one of them large.
import { api } from "../core/api.js";
import { chart } from "../core/charts.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { moment, number, percent, t } from "../core/texts.js";
import { keyed } from "./keyed.js";
import { known } from "./standing.js";
import { onClock, seriesName, timeAxis } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
let shown = null, alerts = [], chosen = null, days = 7, hours = 6;

export async function loadTopics() {
  const [asked, offset] = [days, Math.round(-new Date().getTimezoneOffset() / 60)];
  const [found, raised] = await Promise.all([
    api(`/v1/trends/normal?days=${days}&bucket_hours=${hours}&offset_hours=${offset}`), api("/v1/alerts?limit=50"),
  ]);
  if (asked !== days) return;
  [shown, alerts] = [found, raised.alerts];
  draw();
}

for (const button of byId("periods").querySelectorAll("button")) {
  button.addEventListener("click", () => {
    for (const other of byId("periods").children) other.setAttribute("aria-pressed", String(other === button));
    [days, hours] = [+button.dataset.days, +button.dataset.hours];
    loadTopics().catch(() => {});
  });
}

addEventListener("overview", () => shown && tiles());

function draw() {
  const none = !shown.series.length;
  for (const id of ["topic-chart", "topic-title"]) byId(id).hidden = none;
  if (none) {
    fill(byId("tiles"), empty(t("No story in this time"), t("Charts appear as soon as stories are read.")));
    byId("topic-note").textContent = "";
    return;
  }
  const names = shown.series.map((one) => one.topic);
  if (!names.includes(chosen)) {
    const firing = known.series.find((one) => one.phase === "firing" && names.includes(one.topic));
    const most = shown.series.reduce((a, b) => (sum(b.stories) > sum(a.stories) ? b : a));
    chosen = firing?.topic ?? most.topic;
  }
  tiles();
  large();
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

function tiles() {
  const box = byId("tiles");
  if (!shown.series.length) return;
  if (!box.querySelector("button")) fill(box);
  const states = new Map(known.series.map((one) => [one.topic, one]));
  const items = shown.series.map((one) => {
    const standing = states.get(one.topic);
    return { ...one, phase: standing?.phase ?? "", news: standing?.news ?? "ok", pressed: one.topic === chosen };
  });
  items.sort((a, b) => (b.phase === "firing") - (a.phase === "firing") || seriesName(a).localeCompare(seriesName(b)));
  keyed(box, items, (one) => one.topic, tile);
}

function tile(one) {
  const stories = sum(one.stories);
  const mark = one.phase === "firing" ? el("span.badge.negative", {}, t("alert"))
    : one.news === "no_data" ? el("span.badge.warn", {}, t("silent")) : null;
  return el("button.tile", {
    type: "button", "aria-pressed": String(one.pressed), dataset: { focus: "tile" },
    onclick: () => { chosen = one.topic; tiles(); large(); },
  }, el("span.tile-name", {}, seriesName(one), mark), sparkline(one),
  el("span.tile-figure", {}, stories ? t("{share} negative", { share: percent(sum(one.negative) / stories, 0) }) : t("no story")));
}

/** The course of the share in a strip, with the band behind it. */
function sparkline(one) {
  const [width, height] = [120, 34];
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.setAttribute("preserveAspectRatio", "none");
  node.setAttribute("aria-hidden", "true");
  const x = (i) => (one.stories.length < 2 ? width / 2 : (i * width) / (one.stories.length - 1)).toFixed(1);
  const y = (share) => (height - 1 - share * (height - 2)).toFixed(1);
  const at = one.low.map((low, i) => (low == null ? null : i)).filter((i) => i != null);
  if (at.length > 1) {
    const edge = [...at.map((i) => `${x(i)},${y(one.high[i])}`), ...at.toReversed().map((i) => `${x(i)},${y(one.low[i])}`)];
    node.append(shape("polygon", { points: edge.join(" "), class: "spark-band" }));
  }
  const points = one.stories.map((n, i) => (n ? `${x(i)},${y(one.negative[i] / n)}` : null)).filter(Boolean);
  node.append(shape("polyline", { points: points.join(" "), class: "spark-line" }));
  return node;
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function large() {
  const one = shown.series.find((series) => series.topic === chosen);
  if (!one) return;
  const start = new Date(shown.since).getTime();
  const step = shown.bucket_hours * 3_600_000;
  const times = one.stories.map((_, i) => onClock(start + i * step));
  const share = one.stories.map((n, i) => (n ? one.negative[i] / n : null));
  const marked = alerts.filter((alert) => alert.topic === chosen && new Date(alert.started_at) >= start);
  byId("topic-title").textContent = seriesName(one);
  byId("topic-note").textContent = shown.learned_until
    ? t("Shaded: where 95 % of such stretches keep while nothing is wrong, learned until {when}. Lines mark alerts.", { when: moment(shown.learned_until) })
    : t("What is normal has not been learned yet, so there is no shaded range.");
  chart(byId("topic-chart"), described(one, share, marked), (c) => ({
    data: [
      ...(shown.learned_until ? [
        { x: times, y: one.low, mode: "lines", line: { width: 0, shape: "linear" }, hoverinfo: "skip", connectgaps: true },
        { x: times, y: one.high, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: c.band, hoverinfo: "skip", connectgaps: true },
        { x: times, y: one.expected, mode: "lines", line: { color: c.muted, width: 1, dash: "dot" }, connectgaps: true, name: t("normal"), hovertemplate: `${t("normal")} %{y:.0%}<extra></extra>` },
      ] : []),
      { x: times, y: share, mode: "lines+markers", line: { color: c.negative, width: 2 }, marker: { size: 5 }, connectgaps: true,
        customdata: one.stories.map((n, i) => [one.negative[i], n]), hovertemplate: `${t("negative")} %{y:.0%} (%{customdata[0]} / %{customdata[1]})<extra></extra>` },
    ],
    layout: {
      xaxis: { ...timeAxis(), range: [times[0], onClock(start + times.length * step)] },
      yaxis: { tickformat: ".0%", range: [0, 1.02] },
      shapes: marked.map((alert) => ({ type: "line", x0: onClock(alert.started_at), x1: onClock(alert.started_at), yref: "paper", y0: 0, y1: 1, line: { color: alert.is_test ? c.warn : c.negative, width: 1.5, dash: "dash" } })),
      annotations: marked.map((alert) => ({ x: onClock(alert.started_at), y: 1, yref: "paper", yanchor: "bottom", text: alert.is_test ? t("TEST") : "▲", showarrow: false, font: { color: alert.is_test ? c.warn : c.negative } })),
      margin: { l: 44, r: 12, t: 20, b: 34 },
    },
  }));
}

function described(one, share, marked) {
  const last = share.findLastIndex((value) => value != null);
  const beside = last >= 0 && one.expected[last] != null ? `, ${t("normally {share}", { share: percent(one.expected[last], 0) })}` : "";
  const now = last < 0 ? t("no story") : t("{share} negative", { share: percent(share[last], 0) }) + beside;
  return `${seriesName(one)}: ${now}. ${t("{n} alerts in this time.", { n: number(marked.length) })}`;
}
