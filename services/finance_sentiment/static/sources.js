// Feeds: how each is doing, and what one may do with it.
import { api, Problem, refreshing } from "../core/api.js";
import { byId, el, empty, fill, safeLink, toast } from "../core/dom.js";
import { duration, moment, number, t } from "../core/texts.js";
import { keyed } from "./keyed.js";
import { ago, ticking } from "./words.js";

const MOST = 100;
let sources = [], news = null, days = 14, all = false, loaded = false;

async function load() {
  sources = (await api("/v1/sources")).sources;
  loaded = true;
  draw();
}

async function loadNews() {
  const found = await api("/v1/sources/news");
  days = found.days;
  news = new Map(found.sources.map((one) => [one.source_id, one.stories]));
  draw();
}

const STATES = {
  failing: ["fails", "negative"], resting: ["rests", "warn"], fresh: ["not asked yet", "plain"], fine: ["fine", "good"], off: ["paused", "plain"],
};
const ORDER = Object.keys(STATES);

function stateOf(one) {
  if (!one.enabled) return "off";
  if (one.host_rests_until && new Date(one.host_rests_until) > Date.now()) return "resting";
  if (one.error_count > 0) return "failing";
  return one.checked_at ? "fine" : "fresh";
}

function draw() {
  if (!loaded) return;
  const items = sources.map((one) => ({ ...one, state: stateOf(one), days: news?.get(one.id) ?? null, counted: news !== null }));
  figures(items);
  const wanted = byId("find").value.trim().toLowerCase();
  const found = items.filter((one) => !wanted || `${one.name} ${one.url}`.toLowerCase().includes(wanted))
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.name.localeCompare(b.name));
  keyed(byId("sources"), all ? found : found.slice(0, MOST), (one) => one.id, row);
  byId("more").hidden = all || found.length <= MOST;
  byId("more").textContent = t("Show all {n}", { n: number(found.length) });
  byId("none").hidden = found.length > 0;
  if (!found.length) {
    fill(byId("none"), items.length ? empty(t("No feed like this"), "") : empty(t("No feed yet"), t("Add one above: the worker asks it within seconds.")));
  }
}

function figures(items) {
  const of = (...states) => items.filter((one) => states.includes(one.state)).length;
  const week = [...(news?.values() ?? [])].reduce((sum, counts) => sum + counts.slice(-7).reduce((a, b) => a + b, 0), 0);
  const figure = (label, value, note) => el("div.figure", {}, el("div.label", {}, label), el("div.value", {}, number(value)), el("div.note", {}, note));
  const failing = of("failing", "resting");
  fill(byId("figures"), figure(t("Answer"), of("fine"), t("of {n} feeds", { n: number(items.length) })),
    figure(t("In trouble"), failing, failing ? t("they are asked again by themselves") : t("none")),
    figure(t("Paused"), of("off"), t("not asked")), figure(t("Stories in seven days"), week, t("brought by these feeds")));
}

function row(one) {
  const [word, kind] = STATES[one.state];
  const button = (text, focus, onclick, style = "") => el(`button.small${style}`, { type: "button", dataset: { focus }, "aria-label": `${text}: ${one.name}`, onclick }, text);
  return el("li.source", {},
    el("div", {}, el("span.strong", {}, one.name), " ", el(`span.badge.${kind}`, {}, t(word)), el("br"), el("small", {}, safeLink(one.url, one.url))),
    bars(one),
    el("div.source-more", {}, one.last_error && el("p.error", {}, one.error_count > 1 ? t("{n} times in a row: {error}", { n: number(one.error_count), error: one.last_error }) : one.last_error), facts(one),
      el("div.actions.spaced", {},
        one.enabled ? button(t("Check now"), "check", () => change(one, { enabled: true }, t("It is asked within seconds."))) : null,
        one.enabled ? button(t("Pause"), "pause", () => change(one, { enabled: false }, t("Paused."))) : button(t("Go on"), "pause", () => change(one, { enabled: true }, t("It is asked within seconds."))),
        button(t("Remove"), "remove", () => remove(one), ".quiet"))));
}

function facts(one) {
  const told = [];
  const next = one.state === "resting" ? one.host_rests_until : one.next_check_at;
  if (one.enabled) told.push(new Date(next) > Date.now() ? [t("next look"), " ", ago(next)] : t("next look: now due"));
  told.push(one.checked_at ? [t("last look"), " ", ago(one.checked_at)] : t("never asked"));
  if (one.changed_at) told.push([t("last news"), " ", ago(one.changed_at)]);
  const pace = one.interval_seconds ?? one.learned_seconds;
  if (pace) told.push(one.interval_seconds ? t("every {time}, as stated", { time: duration(pace) }) : t("every {time}, by its news", { time: duration(pace) }));
  if (one.moved_from) told.push(t("moved here on {when}", { when: moment(one.moved_at) }));
  return el("small", {}, told.map((part, i) => [i > 0 && " · ", part]));
}

function bars(one) {
  if (!one.days) return el("small", {}, one.counted ? t("no story in {n} days", { n: days }) : "");
  const most = Math.max(1, ...one.days);
  const total = one.days.reduce((a, b) => a + b, 0);
  const text = t("{n} stories in {days} days", { n: number(total), days });
  return el("div", {}, el("div.days", { role: "img", "aria-label": text }, one.days.map((n) => {
    const bar = el(n ? "i" : "i.none");
    bar.style.height = `${(100 * n) / most}%`;
    return bar;
  })), el("small", { "aria-hidden": "true" }, text));
}

async function change(one, body, done) {
  try {
    await api(`/v1/sources/${one.id}`, { method: "PATCH", body });
    toast(done);
    await load();
  } catch (error) { toast(error.message, "bad"); }
}

function remove(one) {
  const dialog = byId("remove");
  byId("remove-name").textContent = one.name;
  dialog.returnValue = "no";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    try {
      await api(`/v1/sources/${one.id}`, { method: "DELETE" });
      toast(t("{name} is watched no longer.", { name: one.name }));
      await load();
      byId("find").focus();
    } catch (error) { toast(error.message, "bad"); }
  };
  dialog.showModal();
}

byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const minutes = byId("add-minutes").value;
  const body = { name: byId("add-name").value.trim(), url: byId("add-url").value.trim(), ...(minutes ? { interval_minutes: Number(minutes) } : {}) };
  byId("add-error").textContent = "";
  try {
    await api("/v1/sources", { method: "POST", body });
    toast(t("Added. The worker asks it within seconds."));
    event.target.reset();
    byId("add-name").focus();
    await load();
  } catch (error) {
    byId("add-error").textContent = error instanceof Problem ? error.message : t("The server cannot be reached; try again.");
  }
});

byId("opml").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  try {
    const response = await fetch("/v1/sources/opml", { method: "POST", headers: { "Content-Type": "text/x-opml" }, body: file });
    const answer = await response.json();
    if (!response.ok) throw new Problem(response.status, answer);
    toast(t("{added} feeds added, {known} were there.", { added: number(answer.added), known: number(answer.known) }));
    await load();
  } catch (error) { byId("add-error").textContent = error.message; }
  event.target.value = "";
});

byId("find").addEventListener("input", draw);
byId("more").addEventListener("click", () => { all = true; draw(); });

refreshing(load, 10);
refreshing(loadNews, 60);
ticking();
