// How things are called on the pages: topics, detectors, sentiments, states, and their moments.
import { el } from "../core/dom.js";
import { lang, moment, percent, relative, t } from "../core/texts.js";

const TOPICS = {
  earnings: "Earnings", deals: "Deals", central_banks: "Central banks", economy: "Economy", energy: "Energy",
  legal: "Legal", technology: "Technology", banking: "Banking", jobs: "Jobs", crypto: "Crypto",
  property: "Property", supply_chain: "Supply chain", all: "All news",
};
/** The name of a topic for people; one that we do not know is shown as it is. */
export function topicName(topic) {
  if (Object.hasOwn(TOPICS, topic)) return t(TOPICS[topic]);
  const plain = String(topic).replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
/** Of an alert or a series: its company or its topic. */
export const seriesName = (of) => of.company ?? topicName(of.topic ?? "");

export function detectorName(detector) {
  if (detector.startsWith("rule:")) return t("your rule {name}", { name: detector.slice(5) });
  return {
    beta_binomial_cusum: t("share of negative stories over hours"),
    beta_binomial_hour: t("one very bad hour"),
    negative_binomial_cusum: t("number of negative stories"),
  }[detector] ?? detector;
}

export const sentimentBadge = (sentiment) =>
  el(`span.badge.${{ negative: "negative", positive: "positive" }[sentiment] ?? "plain"}`, {}, sentiment ? t(sentiment) : t("unread"));

const REASONS = [
  [/^none of (\d+) feeds answers$/, "none of {a} feeds answers"],
  [/^(\d+) of (\d+) feeds fail, (\d+) % of the news$/, "{a} of {b} feeds fail, {c} % of the news"],
  [/^(\d+) stories too many wait for a label$/, "{a} stories too many wait for a label"],
  [/^another model went live; the stories of before are being read by it$/, "another model went live; the stories of before are being read by it"],
];
/** Why the news are not whole, in the reader's language. */
export function reasonText(reason) {
  for (const [pattern, words] of REASONS) {
    const found = pattern.exec(reason);
    if (found) return t(words, { a: found[1], b: found[2], c: found[3] });
  }
  return reason;
}

/** A moment as "3 min ago", the date on hovering; kept up to date by `ticking`. */
export const ago = (when) =>
  el("time", { datetime: when, title: moment(when), dataset: { when } }, relative(when));

/** Brings all `ago` on the page up to date. */
export function ticking() {
  setInterval(() => {
    for (const node of document.querySelectorAll("time[data-when]")) {
      const text = relative(node.dataset.when);
      if (node.textContent !== text) node.textContent = text;
    }
  }, 20_000);
}

/** "46 % of 26 stories negative, normally 20 %" of an alert's evidence. */
export function evidenceText(evidence) {
  const stories = evidence.stories_at_start ?? evidence.stories;
  const negative = evidence.negative_at_start ?? evidence.negative;
  if (!stories) return "";
  const said = t("{share} of {n} stories negative", { share: percent(negative / stories, 0), n: stories });
  if (evidence.negative_share_wanted != null) return t("{said}, {more}", { said, more: t("your limit is {share}", { share: percent(evidence.negative_share_wanted, 0) }) });
  return evidence.baseline_share == null ? said : t("{said}, {more}", { said, more: t("normally {share}", { share: percent(evidence.baseline_share, 0) }) });
}

/** The badges of an alert: firing or over, drill, seen, marked. */
export function alertBadges(alert) {
  return [
    alert.is_test && el("span.badge.warn", {}, t("TEST")),
    alert.state === "firing" ? el("span.badge.negative", {}, t("open")) : el("span.badge.plain", {}, t("over")),
    alert.acknowledged_by && el("span.badge.plain", {}, t("seen by {name}", { name: alert.acknowledged_by })),
    alert.false_alarm === true && el("span.badge.plain", {}, t("false alarm")),
    alert.false_alarm === false && el("span.badge.plain", {}, t("true alarm")),
  ];
}

const KEY = "trefoil-news-name";
/** Who says something: remembered on this machine. */
export const whoAmI = () => { try { return localStorage.getItem(KEY) ?? ""; } catch { return ""; } };
export const iAm = (name) => { try { localStorage.setItem(KEY, name); } catch { /* private window */ } };

const two = (n) => String(n).padStart(2, "0");
/** A moment for a chart, on the reader's clock: the library would draw UTC. */
export function onClock(when) {
  const d = new Date(when);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

const DAYS = lang === "zh" ? "%-m月%-d日" : "%-d %b";
/** An axis of time, with days as the reader writes them. */
export const timeAxis = () => ({
  type: "date", hoverformat: `${DAYS} %H:%M`,
  tickformatstops: [{ dtickrange: [null, 43_200_000], value: `%H:%M\n${DAYS}` }, { dtickrange: [43_200_001, null], value: DAYS }],
});

const clipped = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);
/** An axis of names, from the bottom up; long ones are cut where they are written. */
export const nameAxis = (names) => ({
  type: "category", tickmode: "array", tickvals: names, ticktext: names.map(clipped), rangemode: "normal", ticksuffix: " ",
});
