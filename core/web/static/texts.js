// Words, numbers and times in the reader's language.

const texts = JSON.parse(document.getElementById("texts")?.textContent || "{}");
export const lang = document.documentElement.lang || "en";
const locale = lang === "zh" ? "zh-CN" : "en-GB";

/** t("{n} stories", {n: 3}): the text in the reader's language, its English where there is none. */
export function t(english, values = {}) {
  const text = texts[english] ?? english;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
/** 12,345 or 0.0123; "–" for what is not known. */
export const number = (value) =>
  value == null || Number.isNaN(value) ? "–" : (Number.isInteger(value) ? whole : fine).format(value);
/** A share of 1 as per cent, with `digits` places. */
export const percent = (share, digits = 1) =>
  share == null || Number.isNaN(share) ? "–" : `${new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(share * 100)} %`;

const long = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
/** Date and time of an ISO text or milliseconds, where the reader is. */
export const moment = (when) => (when == null ? "–" : long.format(new Date(when)));

const ago = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
/** "3 min ago", "in 2 hr"; "–" for never. */
export function relative(when, now = Date.now()) {
  if (when == null) return "–";
  const seconds = (new Date(when).getTime() - now) / 1000;
  const [unit, size] = UNITS.find(([, s]) => Math.abs(seconds) >= s) ?? UNITS[3];
  return ago.format(Math.trunc(seconds / size), unit);
}

/** "1 h 05 min", "4 min", "12 s". */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("{n} s", { n: s });
  if (s < 3600) return t("{n} min", { n: Math.floor(s / 60) });
  return t("{h} h {m} min", { h: Math.floor(s / 3600), m: String(Math.floor((s % 3600) / 60)).padStart(2, "0") });
}
