// What came of the shelves. Asked once a minute and when the period is changed; each part of the page
// fails by itself, and keeps what it showed.
import { api, refreshing } from "../core/api.js";
import { byId, fill } from "../core/dom.js";
import { chart } from "../core/charts.js";
import { number, percent, t } from "../core/texts.js";
import { price } from "./basket.js";
import { showItems, useItems } from "./dashboard_items.js";
import { loadModel } from "./dashboard_model.js";
import { clear, figure, plain, reachOf, ready } from "./dashboard_parts.js";

const SHELVES = {
  home: "Home", product: "Product page", cart: "Cart", search: "Search", similar: "Similar", trending: "Trending",
  "bought-together": "Bought together", new: "New in the shop", "": "no name",
};
const shelfName = (scenario) => (SHELVES[scenario] === undefined ? scenario : t(SHELVES[scenario]));
const MOST_GROUPS = 14;

let days = 30, measure = "click", groups = [];

const interval = (ci, show = percent) => (ci ? t("{low} to {high}", { low: show(ci[0]), high: show(ci[1]) }) : "");

/** Wilson's interval of the whole; that of each group the server has. */
function wilson(k, n, z = 1.96) {
  const p = k / n, d = 1 + (z * z) / n, middle = (p + (z * z) / (2 * n)) / d;
  const half = (z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))) / d;
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

async function loadOutcomes() {
  const until = Date.now() / 1000;
  const found = await api(`/v1/attribution?from=${until - days * 86400}&to=${until + 60}`);
  groups = found.groups;
  const sum = (name) => groups.reduce((all, group) => all + group[name], 0);
  const answers = sum("answers");
  for (const [place, name] of [[0, "answers_clicked"], [1, "answers_converted"]]) {
    const n = sum(name);
    if (answers) figure(place, percent(n / answers), t("{n} of {all} answers; {interval}", { n: number(n), all: number(answers), interval: interval(wilson(n, answers)) }));
    else figure(place, "–", t("no answer in this period"));
  }
  const money = new Map();
  for (const one of groups.flatMap((group) => group.money)) money.set(one.currency, (money.get(one.currency) ?? 0) + one.net);
  figure(2, [...money].map(([currency, net]) => price(net, currency, net >= 1000 ? { maximumFractionDigits: 0 } : {})).join(" + ") || "–", t("{n} purchases, {back} given back", { n: number(sum("purchases")), back: number(sum("purchases_refunded")) }));
  showGroups();
}

const MEASURES = {
  click: { said: "Share of answers with a click on one of their items; the line is the 95 % interval.", of: (g) => [g.click_through_rate, g.click_through_rate_ci], share: true },
  sale: { said: "Share of answers with an order that was kept, within seven days; the line is the 95 % interval.", of: (g) => [g.conversion_rate, g.conversion_rate_ci], share: true },
  money: { said: "Net revenue of 100 answers; the line is the 95 % interval.", of: (g, c) => { const m = g.money.find((one) => one.currency === c); return m ? [m.net_per_answer * 100, m.net_per_answer_ci.map((x) => x * 100)] : [0, null]; }, share: false },
};

function showGroups() {
  const box = byId("by-shelf"), { said, of, share } = MEASURES[measure];
  const versions = new Set(groups.map((group) => group.model_version));
  const shown = [...groups].sort((a, b) => b.answers - a.answers).slice(0, MOST_GROUPS).reverse();
  const currencies = [...new Set(groups.flatMap((g) => g.money.map((m) => m.currency)))];
  const currency = currencies[0] ?? "";
  const more = groups.length - shown.length;
  fill(byId("by-shelf-said"), t(said), " ", more > 0 ? t("The {n} largest of {all}.", { n: shown.length, all: groups.length }) : "",
    measure === "money" && currency ? ` ${t("In {currency}.", { currency })}` : "");
  if (!shown.length) { clear(box, t("No answer was given in this period."), t("Open the storefront and click about: it shows here within a minute.")); return; }
  const plot = ready(box, Math.max(180, 46 + shown.length * 34));
  const name = (g) => `${cut(shelfName(g.scenario))}${versions.size > 1 ? ` · ${g.model_version.slice(0, 6)}` : ""}`;
  const rows = shown.map((g) => { const [value, ci] = of(g, currency); return { g, value, ci: ci ?? [value, value] }; });
  const order = [...versions];
  chart(plot, t("By shelf: {list}", { list: rows.map(({ g, value }) => `${name(g)} ${share ? percent(value) : price(value, currency)}`).join(", ") }), (c) => ({
    data: [{
      type: "scatter", mode: "markers", cliponaxis: false, x: rows.map((r) => r.value), y: rows.map((_, i) => i),
      error_x: { type: "data", symmetric: false, array: rows.map((r) => r.ci[1] - r.value), arrayminus: rows.map((r) => r.value - r.ci[0]), color: c.muted, thickness: 1.5, width: 5 },
      marker: { size: 12, color: rows.map(({ g }) => c.series[order.indexOf(g.model_version) % 8]) },
      text: rows.map(({ g }) => `${name(g)}<br>${t("{n} answers", { n: number(g.answers) })}`), hovertemplate: share ? "%{text}<br>%{x:.1%}<extra></extra>" : "%{text}<br>%{x:.2f}<extra></extra>",
    }],
    layout: { hovermode: "closest", margin: { l: 10, r: 16, t: 4, b: 34 }, xaxis: { range: reachOf(rows), tickformat: share ? ".0%" : "" },
      yaxis: { tickvals: rows.map((_, i) => i), ticktext: rows.map(({ g }) => name(g)), range: [-0.6, rows.length - 0.4], showgrid: false } },
  }));
}

const cut = (text) => { const clean = plain(text); return clean.length > 26 ? `${clean.slice(0, 25)}…` : clean; };

async function loadReach() {
  const found = await api(`/v1/reach?days=${days}`);
  if (found.coverage == null) figure(3, "–", t("no answer in this period"));
  else figure(3, percent(found.coverage, 0), t("of {n} items; the tenth shown most has {share} of all places", { n: number(found.items), share: percent(found.top_tenth_share, 0) }));
  const box = byId("daily");
  if (!found.by_day.length) clear(box, t("Nothing to draw yet."), t("The first answers make the first bar."));
  else {
    const plot = ready(box, 260);
    const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
    const at = found.by_day.map((one) => day(one.start)), until = Math.max(Date.now() / 1000, found.by_day.at(-1).start), today = until - (until % 86400);
    chart(plot, t("Day by day: {list}", { list: found.by_day.slice(-7).map((one, i) => `${at.slice(-7)[i]} ${one.answers}/${one.clicked}`).join(", ") }), (c) => ({
      data: [
        { type: "bar", width: 6e7, name: t("answers"), x: at, y: found.by_day.map((d) => d.answers), marker: { color: c.band } },
        { type: "bar", width: 6e7, name: t("clicked"), x: at, y: found.by_day.map((d) => d.clicked), marker: { color: c.brand } },
      ],
      layout: { barmode: "overlay", bargap: 0.25, xaxis: { type: "date", nticks: 5, tickformat: "%d.%m.", range: [Math.min(found.by_day[0].start, until - 7 * 86400) - 43200, today + 43200].map((seconds) => new Date(seconds * 1000).toISOString()) }, showlegend: true, legend: { orientation: "h", y: 1.12, x: 0 } },
    }));
  }
  fill(byId("daily-said"), found.cut ? t("Of the newest {n} answers.", { n: number(found.answers) }) : t("Answers given, and those that were clicked on."));
  useItems(found);
}

const parts = [[loadOutcomes, "by-shelf"], [loadReach, "daily"], [loadModel, "rivals"]];

/** Each by itself: one that is refused tells so in its own place, the others show theirs. */
async function load() {
  const done = await Promise.allSettled(parts.map(([one]) => one()));
  done.forEach((one, i) => {
    const box = byId(parts[i][1]);
    if (one.status === "rejected" && one.reason.status && !box.querySelector(".plot")) clear(box, t("This could not be shown."), one.reason.message);
  });
  byId("figures").setAttribute("aria-busy", "false");
  const lost = done.find((one) => one.status === "rejected" && !one.reason.status);
  if (lost) throw lost.reason;
}

/** One of several buttons is pressed; `chosen` is told its value. */
function choice(id, key, chosen) {
  byId(id).addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const one of byId(id).children) one.setAttribute("aria-pressed", String(one === button));
    chosen(button.dataset[key]);
  });
}

const again = refreshing(load, 60);
choice("period", "days", (value) => { days = Number(value); again(); });
choice("measure", "measure", (value) => { measure = value; showGroups(); });
choice("which", "which", showItems);
