// What stands at the top: is the monitor watching, and if not, why and what mends it? Then the day
// in four figures.
import { api } from "../core/api.js";
import { byId, el, fill } from "../core/dom.js";
import { moment, number, percent, t } from "../core/texts.js";
import { reasonText, seriesName } from "./words.js";

/** What the last look said; other parts read topics and states from it. */
export let known = { topics: [], series: [] };

export async function loadOverview() {
  const seen = await api("/v1/overview");
  known = seen;
  show(seen);
  figures(seen);
  dispatchEvent(new CustomEvent("overview"));
}

const WORKER = "trefoil finance-sentiment worker";

function news(seen) {
  switch (seen.state) {
    case "empty": return [t("Nothing to watch yet"), el("a", { href: "/sources" }, t("Add feeds")), " ", t("or bring past stories in:"), " ", el("code", {}, "trefoil finance-sentiment import --stories FILE")];
    case "no_worker": return [t("Nobody reads the news"), silent(seen.reason), " ", t("Start it:"), " ", el("code", {}, WORKER)];
    case "no_data": return [t("No news come in"), `${reasonText(seen.reason)}. `, t("No alert starts or ends until a feed answers again."), " ", sourcesLink()];
    case "degraded": return [t("Not all of the news come in"), `${reasonText(seen.reason)}. `, t("What speaks for an alert still counts; that all is calm cannot be said."), " ", sourcesLink()];
    case "learning": {
      const [stories, hours] = seen.reason.split("/");
      return [t("Learning what is normal"), t("{stories} stories over {hours} h so far. It takes three days and a hundred stories; until then nothing is promised and nothing fires.", { stories: number(+stories), hours: number(+hours) })];
    }
    default: return [t("All calm"), t("No topic is unusually negative.")];
  }
}

const sourcesLink = () => el("a", { href: "/sources" }, t("See the sources"));

function silent(reason) {
  const at = reason.indexOf(": ");
  const when = reason.slice(at + 2);
  return when === "never" ? t("No worker has run yet, so what you see is all there is.") : t("The worker has not reported since {when}; what you see is of then.", { when: moment(when) });
}

function show(seen) {
  const open = seen.open_alerts;
  const [title, ...text] = news(seen);
  const shown = [];
  if (open) {
    const names = seen.firing.map((one, i) => [i > 0 && ", ", el("a", { href: `/alerts/${one.id}` }, seriesName(one))]);
    shown.push(t("Unusually negative:"), " ", ...names.flat().filter(Boolean), open > names.length ? ` + ${open - names.length}` : "");
    if (seen.state !== "watching") shown.push(el("br"), el("strong", {}, `${title}: `), ...text);
  } else shown.push(...text);
  const quiet = seen.series.filter((one) => one.news === "no_data").map(seriesName);
  if (quiet.length && seen.state !== "no_data") shown.push(open ? el("br") : " ", t("Silent for longer than ever: {names}.", { names: quiet.join(", ") }));
  const heading = open === 1 ? t("1 alert is open") : open ? t("{n} alerts are open", { n: open }) : title;
  // Told to a screen reader only when it says something new.
  const print = heading + shown.map((one) => one.textContent ?? one).join("");
  const card = byId("standing");
  card.dataset.state = open ? "alert" : seen.state;
  if (card.dataset.print === print) return;
  card.dataset.print = print;
  byId("standing-title").textContent = heading;
  fill(byId("standing-text"), ...shown);
}

const figure = (label, value, note) =>
  el("div.figure", {}, el("div.label", {}, label), el("div.value", {}, value), el("div.note", {}, note));

function figures(seen) {
  const share = seen.stories_day ? percent(seen.negative_day / seen.stories_day, 0) : "–";
  const { fine, failing, resting } = seen.feeds;
  const feeds = fine + failing + resting + seen.feeds.new;
  const waits = seen.waiting ? t("{n} wait for a label", { n: number(seen.waiting) }) : t("all are read");
  const unread = seen.unlabelled_day ? `, ${t("{n} cannot be read", { n: number(seen.unlabelled_day) })}` : "";
  const accepted = t("{n} a week accepted as false alarms", { n: number(seen.promised_per_week) });
  fill(byId("figures"),
    figure(t("Stories in 24 hours"), number(seen.stories_day), seen.stories_day || seen.waiting ? waits + unread : t("none came in")),
    figure(t("Negative"), share, t("{n} stories", { n: number(seen.negative_day) })),
    raised(seen, accepted),
    figure(t("Feeds that answer"), feeds ? `${number(fine)} / ${number(feeds)}` : "–", failing + resting ? t("{n} fail", { n: number(failing + resting) }) : feeds ? t("all do") : t("there is none")));
}

/** Of less than a week no rate is made. */
function raised(seen, accepted) {
  if (seen.alerts_per_week == null) return figure(t("Alerts a week"), "–", t("not promised yet"));
  if (seen.weeks_watched >= 1) return figure(t("Alerts a week"), number(Math.round(seen.alerts_per_week * 10) / 10), accepted);
  const [count, days] = [Math.round(seen.alerts_per_week * seen.weeks_watched), Math.max(1, Math.round(seen.weeks_watched * 7))];
  return figure(t("Alerts in {days} days", { days: number(days) }), number(count), accepted);
}
