// One product. To open it is a click, which the server hears of before the shelves are asked for.
import { api } from "../core/api.js";
import { byId, el, empty, fill, toast } from "../core/dom.js";
import { t } from "../core/texts.js";
import { add, count, price } from "./basket.js";
import { learn } from "./products.js";
import { picture } from "./pictures.js";
import { ASK, shelf, strip } from "./shelves.js";
import { flush, fresh, tell, who } from "./shopper.js";

const box = byId("item"), id = box.dataset.item;
const from = whereFrom();

const mine = shelf(byId("for-you"), { scenario: "product", ask: ASK.recommended("product", 6), follows: true, changed: () => mine.load() });
const similar = shelf(byId("similar"), { scenario: "similar", ask: ASK.similar(id, 6), changed: () => mine.load() });
const together = shelf(byId("together"), {
  scenario: "bought-together", ask: ASK.together(id, 6), changed: () => mine.load(),
  note: (item) => t("{n} × in one basket", { n: item.baskets }),
});

/** On which shelf, in which answer and place it was found: the link says so. */
function whereFrom() {
  const query = new URLSearchParams(location.search), found = {};
  if (query.get("from") && Number(query.get("at")) >= 1) {
    found.recommendation_id = query.get("from").slice(0, 200);
    found.position = Math.floor(Number(query.get("at")));
  }
  if (query.get("on")) found.scenario = query.get("on").slice(0, 100);
  return found;
}

/** One visit is one click, however often the page is loaded again. */
function visit() {
  const [entry] = performance.getEntriesByType("navigation");
  if (entry && entry.type !== "navigate" && !from.recommendation_id) return "";
  return from.recommendation_id ? `${who().id}-${from.recommendation_id}-${id}`.slice(0, 190) : fresh();
}

const STOCK = { in_stock: ["In stock", "good"], out_of_stock: ["Sold out", "warn"], preorder: ["Preorder", "warn"] };

function show(item) {
  document.title = `${item.title} · Trefoil`;
  const [word, kind] = STOCK[item.availability] ?? STOCK.in_stock;
  const cart = el("button.primary", { type: "button", disabled: item.availability === "out_of_stock" }, t("Put into the cart"));
  cart.addEventListener("click", async () => { await add(item, from); toast(t("In your cart.")); mine.load(); });
  const wish = el("button", { type: "button" }, t("Onto the wish list"));
  wish.addEventListener("click", async () => { wish.disabled = true; await tell("wishlist", item, { from }); toast(t("On your wish list.")); mine.load(); });
  fill(box, el("div.frame.large", {}, picture(item)), el("div.about", {},
    el("p.muted", {}, [item.category, item.brand].filter(Boolean).join(" · ")),
    el("h1", {}, item.title),
    el("p.price.large", {}, price(item.price, item.currency) || t("no price"), el(`span.badge.${kind}`, {}, t(word))),
    item.description ? el("p", {}, item.description) : null,
    item.tags.length ? el("p.chips", {}, item.tags.map((tag) => el("span.badge", {}, tag))) : null,
    el("p.actions", {}, cart, wish),
    el("p", {}, el("a", { href: `/inspector?item=${encodeURIComponent(id)}&${who().kind === "user" ? "user" : "session"}=${encodeURIComponent(who().id)}` }, t("Why would this shopper see it?")))));
  box.setAttribute("aria-busy", "false");
}

let shown = false;
async function load() {
  const item = await api(`/v1/items/${encodeURIComponent(id)}`);
  show(item);
  learn([item]);
  if (!shown) {
    shown = true;
    const key = visit();
    // The address was for counting; one that is passed on is the product's alone.
    history.replaceState(null, "", location.pathname);
    if (key) await tell("click", item, { from, key });
  }
  await Promise.all([mine.load(), similar.load(), together.load()]);
}

function failed(error) {
  box.setAttribute("aria-busy", "false");
  if (!error.status) { if (!shown) setTimeout(() => load().catch(failed), 4000); return; }
  fill(box, error.status === 404 ? empty(t("There is no such product."), t("It may have been taken out of the shop.")) : empty(t("The product could not be shown."), error.message),
    el("p", {}, el("a.button", { href: "/" }, t("To the front of the shop"))));
  mine.load();
}

strip(count);
addEventListener("serverback", () => (shown ? [mine, similar, together].forEach((one) => one.load()) : load().catch(failed)));
addEventListener("pageshow", (event) => { if (event.persisted) mine.load(); });
flush();
load().catch(failed);
