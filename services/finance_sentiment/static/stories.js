// Stories as they come in. While somebody reads or steps through the list, new ones wait behind a
// button: nothing moves away under a finger.
import { api } from "../core/api.js";
import { byId, el, empty, fill, safeLink } from "../core/dom.js";
import { number, percent, t } from "../core/texts.js";
import { correctStory } from "./corrections.js";
import { keyed } from "./keyed.js";
import { known } from "./standing.js";
import { ago, sentimentBadge, topicName } from "./words.js";

const PAGE = 20, MOST = 300;
const filter = { topic: "", sentiment: "", company: "" };
const stories = new Map();
const waiting = new Map();
let older = null, asked = 0, soon = null;

const list = byId("stories");

function address(cursor) {
  const query = new URLSearchParams({ limit: PAGE });
  for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value);
  if (cursor) query.set("cursor", cursor);
  return `/v1/stories?${query}`;
}

export async function loadStories() {
  const mine = ++asked;
  const page = await api(address());
  if (mine !== asked) return;
  stories.clear();
  for (const story of page.stories) stories.set(story.id, story);
  for (const [id, story] of waiting) if (!stories.has(id)) stories.set(id, story);
  waiting.clear();
  older = page.next_cursor;
  draw();
}

export function streamState(isOpen) {
  const badge = byId("stream");
  badge.textContent = isOpen ? t("live") : t("connecting …");
  badge.className = `badge ${isOpen ? "good" : "warn"}`;
}

/** One that the stream told of: new, labelled anew, or carried by one more source. */
export function storyArrived(story) {
  if (stories.has(story.id)) { stories.set(story.id, story); later(); return; }
  if (!wanted(story)) return;
  waiting.set(story.id, story);
  later();
}

function wanted(story) {
  return (!filter.topic || story.topic === filter.topic) && (!filter.sentiment || story.sentiment === filter.sentiment)
    && (!filter.company || story.companies.some((one) => one.company === filter.company));
}

// Once for all that come within half a second.
function later() { soon ??= setTimeout(() => { soon = null; draw(); }, 500); }

const busy = () => list.matches(":hover, :focus-within") || byId("correct").open;

function take() {
  for (const [id, story] of waiting) stories.set(id, story);
  waiting.clear();
}

const newestFirst = (a, b) => new Date(b.published_at) - new Date(a.published_at) || b.id - a.id;

function draw() {
  if (!busy()) take();
  const shown = [...stories.values()].sort(newestFirst);
  for (const gone of shown.splice(MOST)) stories.delete(gone.id);
  keyed(list, shown, (story) => story.id, row);
  byId("held").hidden = waiting.size === 0;
  byId("held").textContent = t("Show {n} new ones", { n: number(waiting.size) });
  byId("older").hidden = !older || shown.length >= MOST;
  const none = byId("stories-empty");
  none.hidden = shown.length > 0;
  if (!shown.length) {
    const filtered = Object.values(filter).some(Boolean);
    fill(none, filtered ? empty(t("No story like this"), t("Choose other topics or sentiments."))
      : empty(t("No story yet"), t("Stories appear here as soon as a feed brings some.")));
  }
}

list.addEventListener("mouseleave", later);
list.addEventListener("focusout", later);
byId("held").addEventListener("click", () => { take(); draw(); list.querySelector("button, a")?.focus(); });
byId("older").addEventListener("click", async () => {
  const page = await api(address(older)).catch(() => null);
  if (!page) return;
  for (const story of page.stories) stories.set(story.id, story);
  older = page.next_cursor;
  draw();
});

for (const name of ["topic", "sentiment"]) {
  byId(`by-${name}`).addEventListener("change", (event) => { filter[name] = event.target.value; anew(); });
}
byId("by-company").addEventListener("click", () => filterCompany(""));

/** Only stories that name this company; "" for all. */
export function filterCompany(company) {
  filter.company = company;
  const chip = byId("by-company");
  chip.hidden = !company;
  chip.textContent = `${company} ✕`;
  chip.setAttribute("aria-label", t("Stop showing only {name}", { name: company }));
  anew();
  if (company) byId("stories-title").scrollIntoView({ block: "start" });
}

function anew() {
  waiting.clear();
  loadStories().catch(() => {});
}

addEventListener("overview", () => {
  const select = byId("by-topic");
  const topics = [...new Set([...known.topics, ...known.series.map((one) => one.topic).filter(Boolean)])].sort();
  if (select.dataset.print === topics.join()) return;
  select.dataset.print = topics.join();
  const before = select.value;
  fill(select, el("option", { value: "" }, t("All topics")), topics.map((topic) => el("option", { value: topic }, topicName(topic))));
  select.value = topics.includes(before) ? before : "";
});

function label(story) {
  if (story.state === "pending") return el("span.badge.plain", {}, t("waits for the model"));
  if (story.state === "unlabelled") return el("span.badge.warn", { title: t("The model cannot read this text.") }, t("unread"));
  const sure = story[`p_${story.sentiment}`];
  return [sentimentBadge(story.sentiment), " ",
    story.model_version === "person" ? el("span.badge.good", {}, t("corrected"))
      : sure != null && el("small", { title: t("How sure the model is") }, percent(sure, 0))];
}

function row(story) {
  const [first, ...others] = story.sources.length ? story.sources : [story.source];
  return el("li.story.arrived", {},
    el("div.between", {}, el("span", {}, label(story), " ", story.topic && el("span.topic", {}, topicName(story.topic))),
      el("button.small.quiet", { type: "button", dataset: { focus: "correct" }, "aria-label": t("Correct: {title}", { title: story.title }), onclick: () => correctStory(story) }, t("Correct"))),
    el("div.story-title", {}, story.url ? safeLink(story.url, story.title) : story.title),
    el("small", {}, first, others.length > 0 && ` + ${number(others.length)}`, " · ", ago(story.published_at),
      story.companies.map((one) => [" · ", el(`span.said.${one.sentiment ?? "none"}`, { title: one.sentiment ? t(one.sentiment) : "" }, one.company)])));
}
