// The front of the shop: who is shopping, their shelves, and all there is.
import { api } from "../core/api.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { number, t } from "../core/texts.js";
import { count } from "./basket.js";
import { learn, productCard } from "./products.js";
import { ASK, shelf, skeleton, strip } from "./shelves.js";
import { become, becomeVisitor, flush, sampleShoppers, who } from "./shopper.js";

let samples = [];

// --- who is shopping -----------------------------------------------------------------------------

function chip(key, name, label, chosen, choose) {
  return el("button.shopper", { type: "button", "aria-pressed": String(chosen), dataset: { who: key }, onclick: choose },
    el("span.name", {}, name), el("small", {}, label));
}

function showShoppers() {
  const me = who(), box = byId("shoppers");
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.who : null;
  fill(box, samples.map((one) => chip(one.user_id, one.name, one.label, me.id === one.user_id, () => become({ kind: "user", id: one.user_id, name: one.name, label: one.label, about: one.about }))),
    chip("visitor", t("A new visitor"), me.kind === "visitor" ? t("press to start over") : t("nothing is known"), me.kind === "visitor", becomeVisitor));
  if (held) box.querySelector(`[data-who="${CSS.escape(held)}"]`)?.focus();
  fill(byId("about"), me.kind === "user" ? me.about || me.label : t("A visitor of whom nothing is known: the first click already counts."));
}

async function loadShoppers() {
  samples = await sampleShoppers();
  const me = who();
  // Who was chosen in an earlier demonstration may be gone.
  if (me.kind === "user" && !samples.some((one) => one.user_id === me.id)) becomeVisitor();
  else showShoppers();
}

// --- shelves -------------------------------------------------------------------------------------

const follow = () => mine.load();
const mine = shelf(byId("for-you"), { scenario: "home", ask: ASK.recommended("home", 12), follows: true, changed: follow, nothing: t("Nothing to recommend yet.") });
const others = [
  shelf(byId("trending"), { scenario: "trending", ask: ASK.trending(6), changed: follow }),
  shelf(byId("fresh"), { scenario: "new", ask: ASK.fresh(6), changed: follow }),
];
const loadShelves = async () => (await Promise.all([mine, ...others].map((one) => one.load()))).every(Boolean);

// --- all there is --------------------------------------------------------------------------------

let category = null, cursor = "", turn = 0;

async function loadCategories() {
  const found = await api("/v1/categories");
  fill(byId("all-count"), t("{n} items", { n: number(found.items) }));
  const box = byId("categories");
  fill(box, categoryChip(null, t("Everything")), found.categories.slice(0, 40).map((one) => categoryChip(one.category, one.category || t("without a category"), one.items)));
}

function categoryChip(value, text, size) {
  return el("button.small.chip", { type: "button", "aria-pressed": String(value === category), onclick: (event) => {
    category = value;
    for (const one of byId("categories").children) one.setAttribute("aria-pressed", String(one === event.currentTarget));
    loadCatalogue(false);
  } }, text, size == null ? null : el("small", {}, number(size)));
}

async function loadCatalogue(more) {
  const mineNow = ++turn, list = byId("all");
  if (!more) cursor = "";
  const chosen = category == null ? "" : `&category=${encodeURIComponent(category)}`;
  const page = await api(`/v1/catalogue?limit=24&cursor=${encodeURIComponent(cursor)}${chosen}`);
  if (mineNow !== turn) return;
  learn(page.items);
  const cards = page.items.map((item) => productCard(item, { from: { scenario: "catalogue" }, added: follow }));
  if (more) list.append(...cards);
  else fill(list, cards);
  if (!list.children.length) fill(list, el("li.wide", {}, empty(t("There is nothing in the shop yet."), t("Bring items in with PUT /v1/items, or with `trefoil recommender import`."))));
  cursor = page.next_cursor ?? "";
  byId("more").hidden = !page.next_cursor;
  if (more) cards[0]?.querySelector("a").focus();
}

// What fails because the server is away or has no model yet is tried again, and nothing else.
const todo = new Set([loadShoppers, loadCategories, () => loadCatalogue(false), loadShelves]);
async function load() {
  await Promise.all([...todo].map(async (one) => { try { if (await one() !== false) todo.delete(one); } catch { /* later */ } }));
  if (todo.size) setTimeout(load, 5000);
}

strip(count);
showShoppers();
skeleton(byId("for-you").querySelector("ul"), 6);
byId("more").addEventListener("click", () => loadCatalogue(true).catch(() => {}));
addEventListener("shopper", () => { showShoppers(); loadShelves(); });
addEventListener("serverback", () => loadShelves());
// Back from a product: the page may come from the browser's memory, as it was.
addEventListener("pageshow", (event) => { if (event.persisted) { showShoppers(); loadShelves(); } });
flush();
load();
