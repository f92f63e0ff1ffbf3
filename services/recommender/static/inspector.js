// Why this item, for this shopper: parts of the score as bars, the history behind them, the way it
// was found, the rules that acted.
import { api } from "../core/api.js";
import { byId, el, fill } from "../core/dom.js";
import { number, percent, relative, t } from "../core/texts.js";

const PARTS = {
  text: "Text", behaviour: "Behaviour", popularity: "Popular", recency: "Popular of late", freshness: "New", price: "Price",
  category: "Category", brand: "Brand", seen: "Seen before", boost: "The shop's boost",
};
const DID = {
  impression: "was shown it", view: "viewed", click: "looked at", comment: "commented on", share: "shared", wishlist: "wish list",
  add_to_cart: "into the cart", remove_from_cart: "out of the cart", purchase: "bought", refund: "gave back", rating: "rated",
};
const OBSTACLES = {
  out_of_stock: "Not in their list: it is out of stock.", blocked: "Not in their list: a rule of the shop blocks it.",
  taken: "Not in their list: they took it already.", not_found: "Not in their list: nothing led to it, so it was not scored there.",
  too_low: "Not in their list: too many others score higher.",
};
const WAYS = {
  all: "The shop is small enough: every item that may stand there was scored.", text: "Found by its text, near to what they like.",
  behaviour: "Found by what others took with it, or after it.", liked: "Found among what all shoppers like.", new: "Found as a newcomer.",
};
const RULES = { pin: "A rule pins it to this place.", block: "A rule blocks it.", cap: "A rule limits how many of a brand or category stand there.", stock: "A rule decides about items out of stock." };
const SOURCES = { text: "by its text", behaviour: "by behaviour", popular: "as popular", new: "as new", pinned: "pinned", exploration: "to learn about it" };

let asked = null;

function show({ item, shown, events, model_version: version }) {
  byId("nothing").hidden = true;
  byId("inspected").hidden = false;
  fill(byId("list-said"), shown.length ? t("{n} events of theirs are known.", { n: number(events) }) : t("Nothing may stand in their list: no item is in stock, or all are blocked or taken."));
  const list = byId("list"), focused = list.contains(document.activeElement) ? document.activeElement.dataset.item : null;
  fill(list, shown.map((one) => el("li", {}, el("button", { type: "button", "aria-pressed": String(one.item_id === item?.item_id), dataset: { item: one.item_id }, onclick: () => { byId("what").value = one.item_id; ask(false); } },
    el("span.n", {}, String(one.rank)), el("span", {}, one.title), el("span.n", {}, one.score.toFixed(2))))));
  if (focused) list.querySelector(`[data-item="${CSS.escape(focused)}"]`)?.focus();
  byId("why").hidden = !item;
  if (!item) return;
  fill(byId("kicker"), `${item.item_id} · ${t("model {name}", { name: version.slice(0, 8) })}`);
  fill(byId("item-title"), item.title);
  fill(byId("verdict"), el(`span.badge${item.place ? ".good" : ".warn"}`, {}, item.place ? t("place {n}", { n: item.place }) : t("not shown")), " ",
    item.place ? t("It stands there {how}.", { how: t(SOURCES[item.source] ?? item.source) }) : t(OBSTACLES[item.obstacle] ?? "Not in their list."), " ",
    t("Chance of interest {p}; by score {n} of {all}.", { p: percent(item.p_interest), n: number(item.place_by_score), all: number(item.scored) }));
  showParts(item);
  showPulls(item);
  fill(byId("ways"), item.found_by.map((way) => el("li", {}, t(WAYS[way] ?? way))), item.touches.map((touch) => el("li", {}, touch.kind === "boost" ? t("Rules add {n} to its score.", { n: number(Number(touch.added.toFixed(2))) }) : t(RULES[touch.kind] ?? touch.kind))),
    item.reasons.some((reason) => reason.part === "variety") ? el("li", {}, t("It stands there for variety.")) : null,
    item.touches.length ? null : el("li", {}, t("No rule of the shop acts on it.")));
}

/** Bars that begin where the one before ended, so that one sees them add up to the score. */
function showParts({ signals, score }) {
  const parts = Object.entries(signals).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  let at = 0, low = 0, high = 0;
  for (const [, value] of parts) { at += value; low = Math.min(low, at); high = Math.max(high, at); }
  const width = high - low || 1, place = (value) => `${(100 * (value - low)) / width}%`;
  const bar = (from, to) => {
    const node = el(`i${to < from ? ".minus" : ""}`), zero = el("b");
    node.style.left = place(Math.min(from, to));
    node.style.width = `${(100 * Math.abs(to - from)) / width}%`;
    zero.style.left = place(0);
    return el("span.track", { "aria-hidden": true }, node, zero);
  };
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  at = 0;
  fill(byId("parts"), parts.map(([name, value]) => {
    const from = at;
    at += value;
    return el("li.part", { dataset: { part: name, value: String(value) } }, el("span", {}, t(PARTS[name] ?? name)), bar(from, at), el("span.n", {}, signed(value)));
  }), el("li.part.sum", { dataset: { score: String(score) } }, el("span", {}, t("Score")), bar(0, score), el("span.n", {}, signed(score))));
}

function showPulls({ pulls, written }) {
  const most = Math.max(written, ...pulls.flatMap((pull) => [pull.text, pull.behaviour])) || 1;
  const share = (value) => { const node = el("i"); node.style.width = `${100 * Math.min(1, value / most)}%`; return el("span.bar", { "aria-hidden": true }, node); };
  const known = pulls.filter((pull) => pull.text >= 0.01 || pull.behaviour >= 0.01);
  fill(byId("pulls-said"), known.length ? t("Each one's share of the match, by text and by behaviour.") : t("Nothing of theirs speaks for it: it stands there for what all shoppers do."));
  fill(byId("pulls"), known.map((pull) => el("li", {}, el("div", {},
    el("span", {}, pull.title), " ", el("small", {}, [pull.event && t(DID[pull.event] ?? pull.event), pull.at && relative(pull.at * 1000)].filter(Boolean).join(", ")),
    pull.words.length ? el("p.words", {}, el("small", {}, t("both say")), pull.words.map((word) => el("span.badge", {}, word))) : null),
  el("div.two", {}, el("span", {}, t("text")), share(pull.text), el("span.n", {}, percent(pull.text, 0)), el("span", {}, t("behaviour")), share(pull.behaviour), el("span.n", {}, percent(pull.behaviour, 0))))),
  written > 0.01 ? el("li", {}, el("div", {}, t("What they wrote in comments")), el("div.two", {}, el("span", {}, t("text")), share(written), el("span.n", {}, percent(written, 0)))) : null);
}

/** Ask for what the form says. `move`: take the reader to the answer. */
async function ask(move = true) {
  const id = byId("who").value.trim(), session = id.startsWith("visit-") || asked?.session === id;
  if (!id) return;
  const body = { [session ? "session_id" : "user_id"]: id, item_id: byId("what").value.trim() || null, scenario: byId("where").value.trim() || null };
  fill(byId("wrong"), "");
  try {
    show(await api("/v1/inspections", { method: "POST", body }));
    const query = new URLSearchParams({ [session ? "session" : "user"]: id, ...(body.item_id ? { item: body.item_id } : {}) });
    history.replaceState(null, "", `?${query}`);
    markPerson(id);
    if (move) byId("item-title").focus({ preventScroll: true });
  } catch (error) { if (error.status) fill(byId("wrong"), error.message); }
}

const markPerson = (id) => byId("quick").querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.id === id)));

async function loadPeople() {
  const [samples, recent] = await Promise.all([api("/v1/sample-shoppers").catch(() => ({ shoppers: [] })), api("/v1/shoppers?limit=30")]);
  const person = (id, text) => el("button.small", { type: "button", "aria-pressed": String(byId("who").value === id), dataset: { id }, onclick: () => { byId("who").value = id; byId("what").value = ""; ask(); } }, text);
  const quick = samples.shoppers.length ? samples.shoppers.map((one) => person(one.user_id, `${one.name} · ${one.label}`)) : recent.shoppers.slice(0, 8).map((one) => person(one.user_id, one.user_id));
  fill(byId("quick"), quick);
  fill(byId("people"), recent.shoppers.map((one) => el("option", { value: one.user_id }, t("{n} events, {when}", { n: number(one.events), when: relative(one.last_at * 1000) }))));
}

byId("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
const query = new URLSearchParams(location.search);
asked = { session: query.get("session") };
byId("who").value = query.get("user") ?? query.get("session") ?? "";
byId("what").value = query.get("item") ?? "";
loadPeople().catch(() => {});
if (byId("who").value) ask(false);
addEventListener("serverback", () => { if (byId("inspected").hidden) ask(false); loadPeople().catch(() => {}); });
