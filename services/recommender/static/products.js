// A product on a shelf: its picture, what it costs, and why it stands there.
import { api } from "../core/api.js";
import { el, fill, toast } from "../core/dom.js";
import { t } from "../core/texts.js";
import { add, price } from "./basket.js";
import { picture } from "./pictures.js";

const known = new Map();

/** Put what a list brought along where `cardsOf` finds it. */
export const learn = (cards) => cards.forEach((card) => known.set(card.item_id, card));

/** Item id → what a page shows of it; those that are not in the shop are missing. */
export async function cardsOf(ids) {
  const missing = [...new Set(ids)].filter((id) => id && !known.has(id));
  for (let start = 0; start < missing.length; start += 100) {
    const asked = missing.slice(start, start + 100).map((id) => `item_id=${encodeURIComponent(id)}`);
    learn((await api(`/v1/cards?${asked.join("&")}`)).items);
  }
  return known;
}

/** The address of an item's page; `from` goes with it, so that it knows where it was found. */
export function address(item, from = {}) {
  const query = new URLSearchParams();
  if (from.recommendation_id) { query.set("from", from.recommendation_id); query.set("at", from.position); }
  if (from.scenario) query.set("on", from.scenario);
  return `/products/${item.item_id.split("/").map(encodeURIComponent).join("/")}${query.size ? `?${query}` : ""}`;
}

const BECAUSE = {
  view: "because you viewed {title}", click: "because you looked at {title}", comment: "because you commented on {title}",
  share: "because you shared {title}", wishlist: "because you put {title} on your wish list", add_to_cart: "because you put {title} into your cart",
  purchase: "because you bought {title}", rating: "because you rated {title}",
};

/** A reason of the server in the reader's language. */
export function reasonText(reason) {
  if (reason.part === "variety") return t("for variety");
  if (reason.title && BECAUSE[reason.event]) return t(BECAUSE[reason.event], { title: reason.title });
  const words = reason.text.match(/^its title says: (.*)$/);
  return words ? t("its title says: {words}", { words: words[1] }) : t(reason.text);
}

/** Tags that two items share, at most three. */
export function shared(item, other) {
  const tags = new Set((other?.tags ?? []).map((tag) => tag.toLowerCase()));
  return (item.tags ?? []).filter((tag) => tags.has(tag.toLowerCase())).slice(0, 3);
}

/** The reason that says most, and first the one that names something the shopper did, if there is. */
function why(item, reasons, cards) {
  const named = reasons.find((reason) => reason.title && reason.part !== "variety");
  const told = [...new Set([named, reasons[0]])].filter(Boolean);
  return told.map((reason) => {
    const both = reason === named ? shared(item, cards.get(reason.item_id)) : [];
    return el("p.why", {}, reasonText(reason), both.length ? el("span.both", {}, t("both: {words}", { words: both.join(" · ") })) : null);
  });
}

const STOCK = { out_of_stock: "Sold out", preorder: "Preorder" };

/** <li> of an item. `from`: {recommendation_id, position, scenario}; `mark`: what changed, in a word;
 * `added` is called when it was put into the cart and the server knows. */
export function productCard(item, { from = {}, reasons, cards = known, mark = "", note = "", added = () => {} } = {}) {
  const title = item.title;
  const button = el("button.small", { type: "button", "aria-label": t("Put {title} into the cart", { title }), disabled: item.availability === "out_of_stock" }, t("Into the cart"));
  button.addEventListener("click", async () => {
    toast(t("{title} is in your cart.", { title: title.length > 60 ? `${title.slice(0, 60)}…` : title }));
    await add(item, from);
    added(item);
  });
  const node = el("li.product", { dataset: { item: item.item_id } },
    el("a", { href: address(item, from) }, el("span.frame", {}, picture(item), mark ? el("span.badge.good.mark", {}, mark) : null), el("span.title", {}, title)),
    el("p.price", {}, price(item.price, item.currency) || el("span.muted", {}, t("no price")),
      STOCK[item.availability] ? el("span.badge.warn", {}, t(STOCK[item.availability])) : null),
    why(item, reasons ?? [], cards), note ? el("p.why", {}, note) : null, button);
  if (mark) node.classList.add("arrived");
  return node;
}

/** Fill a list anew and leave the reader where they were: on the same control, else on the product
 * that now stands in its place. */
export function refill(list, nodes) {
  const held = list.contains(document.activeElement) ? document.activeElement : null;
  const card = held?.closest("li"), place = card ? [...list.children].indexOf(card) : -1;
  const selector = held?.tagName === "BUTTON" ? "button" : "a";
  fill(list, nodes);
  if (!held) return;
  const same = [...list.children].find((node) => node.dataset.item === card?.dataset.item);
  const next = same ?? list.children[Math.min(place, list.children.length - 1)];
  (next?.querySelector(same ? selector : "a") ?? list).focus({ preventScroll: true });
}
