// The counted part of the dashboard: tiles, messages over time, intents, reasons, speed.
import { chart } from "../core/charts.js";
import { byId, el, fill } from "../core/dom.js";
import { lang, moment, number, percent, t } from "../core/texts.js";
import { reason } from "./desk_queue.js";

// What is drawn as one: the first helps by itself, the last needs a person.
const GROUPS = [
  ["Answered", ["answer", "call", "ask_slot"], (c) => c.series[0]],
  ["Quoted articles", ["retrieve"], (c) => c.series[2]],
  ["Asked back", ["clarify"], (c) => c.series[4]],
  ["Did not know", ["abstain"], (c) => c.neutral],
  ["With a person", ["handoff"], (c) => c.series[1]],
];
const locale = lang === "zh" ? "zh-CN" : "en-GB";
const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
const hour = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hour12: false });

let shown = "";

/** Show what GET /v1/admin/figures gave; nothing is touched where nothing changed. */
export function showFigures(found) {
  const { latency, ...counted } = found;
  showSpeed(latency);
  const now = JSON.stringify(counted);
  if (now === shown) return;
  shown = now;
  showTiles(found);
  showVolume(found);
  showIntents(found);
  showReasons(found);
}

function tile(name, value, note) {
  byId(name).textContent = value;
  fill(byId(`${name}-note`), note);
}

function showTiles({ messages, conversations, with_person: person, waiting, taken, opinions, actions, days }) {
  const helped = actions.answer + actions.call + actions.ask_slot + actions.retrieve;
  byId("lead").textContent = days === 1 ? t("The last 24 hours.") : t("The last {n} days, today included.", { n: days });
  tile("messages", number(messages), messages ? t("{share} got an answer at once", { share: percent(helped / messages, 0) }) : "");
  tile("alone", conversations ? percent(1 - person / conversations, 0) : "–", conversations ? t("{n} of {all} conversations", { n: number(conversations - person), all: number(conversations) }) : "");
  tile("waiting", number(waiting), el("a", { href: "/desk" }, taken ? t("{n} being answered · to the desk", { n: number(taken) }) : t("To the desk")));
  tile("wrong", percent(opinions.share), opinions.judged
    ? t("{wrong} of {n} judged; {low} to {high}", { wrong: number(opinions.wrong), n: number(opinions.judged), low: percent(opinions.low), high: percent(opinions.high) })
    : t("nobody has pressed a thumb yet"));
}

function showVolume({ starts, by_hour: byHour, series, messages }) {
  byId("volume").hidden = !messages;
  byId("volume-empty").hidden = messages > 0;
  if (!messages) return;
  const x = starts.map((start) => (byHour ? hour : day).format(new Date(byHour ? start : `${start}T00:00:00Z`)));
  const sums = GROUPS.map(([word, actions, colour]) => ({
    word: t(word), colour, y: x.map((_, i) => actions.reduce((sum, action) => sum + series[action][i], 0)),
  }));
  const told = sums.map(({ word, y }) => `${word}: ${number(y.reduce((a, b) => a + b, 0))}`).join(", ");
  chart(byId("volume"), t("Messages over time. {told}", { told }), (c) => ({
    data: sums.map(({ word, y, colour }) => ({ type: "bar", name: word, x, y, marker: { color: colour(c) } })),
    layout: {
      barmode: "stack", bargap: .25, showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      margin: { l: 36, r: 4, t: 30, b: 30 }, xaxis: { type: "category", nticks: byId("volume").clientWidth < 500 ? 4 : 12, tickangle: 0 }, yaxis: { rangemode: "tozero", nticks: 5, tickformat: ",d" },
    },
  }));
}

/** A line with a bar as long as its part of the largest. */
export function barLine(name, value, largest, note) {
  const bar = el("i");
  bar.style.width = `${largest ? (100 * value) / largest : 0}%`;
  return el("li", {}, el("span.bar-name", {}, name), el("span.bar-value", {}, number(value)), el("span.bar", { "aria-hidden": "true" }, bar), note && el("small", {}, note));
}

const nothing = (text) => el("li.muted", {}, text);

function showIntents({ intents }) {
  const largest = Math.max(0, ...intents.map((one) => one.messages));
  fill(byId("intents"), intents.length ? intents.map((one) => barLine(one.intent, one.messages, largest,
    one.down > 0 && t("{down} of {n} thumbs down", { down: number(one.down), n: number(one.down + one.up) }))) : nothing(t("Nothing was answered by an intent yet.")));
}

function showReasons({ reasons }) {
  const sorted = Object.entries(reasons).sort((a, b) => b[1] - a[1]);
  const largest = sorted[0]?.[1] ?? 0;
  fill(byId("reasons"), sorted.length ? sorted.map(([name, n]) => barLine(reason(name), n, largest)) : nothing(t("No conversation was handed over in this time.")));
}

const seconds = (value) => (value == null ? "–" : value < 1 ? t("{n} ms", { n: number(Math.round(value * 1000)) }) : t("{n} s", { n: number(value) }));

function showSpeed({ since, answers, p50, p95, buckets }) {
  tile("slow", seconds(p50), answers ? t("half are faster; 95 % within {p95}", { p95: seconds(p95) }) : t("no answer over HTTP yet"));
  byId("latency-note").textContent = answers
    ? t("{n} answers over HTTP of this server process, since {when}; they are not stored, so a restart begins anew.", { n: number(answers), when: moment(since) })
    : t("Measured in this server process since it started; nothing was asked yet.");
  byId("latency").hidden = !answers;
  if (!answers) return;
  const first = buckets.findIndex((b) => b.answers), last = buckets.findLastIndex((b) => b.answers);
  const part = buckets.slice(Math.max(0, first - 1), last + 2);
  const x = part.map((b) => (b.up_to == null ? t("longer") : `≤ ${seconds(b.up_to)}`));
  const y = part.map((b) => b.answers);
  const now = JSON.stringify(y);
  if (byId("latency").dataset.shown === now) return;
  byId("latency").dataset.shown = now;
  chart(byId("latency"), t("Answers by time. Half within {p50}, 95 % within {p95}.", { p50: seconds(p50), p95: seconds(p95) }), (c) => ({
    data: [{ type: "bar", x, y, marker: { color: c.series[2] } }],
    layout: { bargap: .15, hovermode: "closest", margin: { l: 36, r: 4, t: 6, b: 30 }, xaxis: { type: "category" }, yaxis: { nticks: 4, tickformat: ",d" } },
  }));
}
