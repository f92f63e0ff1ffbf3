// Topic by day, as colours, and as a table for whoever wants figures.
import { api } from "../core/api.js";
import { chart } from "../core/charts.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { lang, percent, t } from "../core/texts.js";
import { nameAxis, seriesName } from "./words.js";

const day = new Intl.DateTimeFormat(lang === "zh" ? "zh-CN" : "en-GB", { day: "numeric", month: "short" });
let seen = null;

export async function loadHeat() {
  const days = matchMedia("(max-width: 760px)").matches ? 14 : 28;
  const offset = Math.round(-new Date().getTimezoneOffset() / 60);
  seen = await api(`/v1/trends/normal?days=${days}&bucket_hours=24&offset_hours=${offset}`);
  const none = !seen.series.length;
  if (!none) trim();
  byId("heat").hidden = byId("heat-details").hidden = none;
  byId("heat-empty").hidden = !none;
  if (none) { fill(byId("heat-empty"), empty(t("No story in this time"), t("Days appear as soon as stories are read."))); return; }
  draw();
  if (byId("heat-details").open) table();
}

byId("heat-details").addEventListener("toggle", () => byId("heat-details").open && seen && table());

/** Days before the first story are left out. */
function trim() {
  const first = Math.max(0, seen.series[0].stories.findIndex((_, i) => seen.series.some((one) => one.stories[i] > 0)));
  seen.since = new Date(new Date(seen.since).getTime() + first * 86_400_000).toISOString();
  for (const one of seen.series) for (const name of ["stories", "negative"]) one[name].splice(0, first);
}

const dates = () => seen.series[0].stories.map((_, i) => new Date(new Date(seen.since).getTime() + i * 86_400_000 + 43_200_000));
const shares = (one) => one.stories.map((n, i) => (n ? one.negative[i] / n : null));

function draw() {
  const labels = dates().map((date) => day.format(date));
  const series = seen.series.toReversed();
  const node = byId("heat");
  node.style.height = `${Math.max(180, 70 + 26 * series.length)}px`;
  const worst = series.map((one) => [one, Math.max(0, ...shares(one).filter((s, i) => one.stories[i] >= 5))]).sort((a, b) => b[1] - a[1])[0];
  const told = t("Share of negative stories of {n} topics over {days} days. Worst day: {name} with {share}.", { n: series.length, days: labels.length, name: seriesName(worst[0]), share: percent(worst[1], 0) });
  chart(node, told, (c) => ({
    data: [{
      type: "heatmap", x: labels, y: series.map(seriesName), z: series.map(shares), zmin: 0, zmax: 0.8,
      xgap: 2, ygap: 2, colorscale: [[0, c.line], [0.25, c.line], [1, c.negative]], showscale: false, hoverongaps: false,
      customdata: series.map((one) => one.stories.map((n, i) => [one.negative[i], n])),
      hovertemplate: "%{y}, %{x}<br>%{z:.0%} (%{customdata[0]} / %{customdata[1]})<extra></extra>",
    }],
    layout: {
      hovermode: "closest", margin: { l: 8, r: 8, t: 4, b: 30 },
      xaxis: { type: "category", showgrid: false, nticks: Math.max(3, Math.min(10, Math.floor(node.clientWidth / 90))), tickangle: 0 }, yaxis: { ...nameAxis(series.map(seriesName)), showgrid: false },
    },
  }));
}

function table() {
  fill(byId("heat-table"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("Topic")), dates().map((date) => el("th.number", { scope: "col" }, day.format(date))))),
    el("tbody", {}, seen.series.map((one) => el("tr", {}, el("th", { scope: "row" }, seriesName(one)), shares(one).map((share) => el("td.number", {}, share == null ? "" : percent(share, 0)))))));
}
