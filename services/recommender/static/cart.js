// The cart: how many of what, what it comes to, and an order that the shelves learn from.
import { byId, el, empty, fill } from "../core/dom.js";
import { t } from "../core/texts.js";
import { checkOut, count, lines, price, setQuantity, totals } from "./basket.js";
import { address } from "./products.js";
import { picture } from "./pictures.js";
import { ASK, shelf, strip } from "./shelves.js";
import { flush } from "./shopper.js";

const mine = shelf(byId("for-you"), {
  scenario: "cart", follows: true, changed: () => mine.load(),
  ask: () => ASK.recommended("cart", 6, { exclude: lines().map((line) => line.item.item_id) })(),
});

function row({ item, quantity }) {
  const change = (by, word, sign) => el("button.small", { type: "button", "aria-label": t(word, { title: item.title }), dataset: { by }, onclick: () => setQuantity(item.item_id, quantity + by).then(() => mine.load()) }, sign);
  return el("li.line", { dataset: { item: item.item_id } }, el("span.frame", {}, picture(item)),
    el("a", { href: address(item) }, item.title),
    el("span.quantity", {}, change(-1, "One less of {title}", "−"), el("span", { "aria-live": "polite" }, String(quantity)), change(1, "One more of {title}", "+")),
    el("span.price", {}, item.price == null ? t("no price") : price(item.price * quantity, item.currency)));
}

function show() {
  const all = lines(), list = byId("lines");
  const held = list.contains(document.activeElement) ? document.activeElement : null;
  const place = [held?.closest("li")?.dataset.item, held?.dataset.by];
  fill(list, all.map(row));
  if (held) {
    const same = [...list.children].find((node) => node.dataset.item === place[0]);
    (same?.querySelector(`[data-by="${place[1]}"]`) ?? list.querySelector("button") ?? byId("cart-title")).focus();
  }
  byId("sum").hidden = !all.length;
  fill(byId("total"), totals(all).map(([currency, sum]) => price(sum, currency)).join(" + ") || t("no price"));
  if (!all.length && !byId("done").children.length) fill(list, el("li", {}, empty(t("Your cart is empty."), t("Put something in: the shelves follow at once."))));
}

byId("pay").addEventListener("click", async (event) => {
  event.currentTarget.disabled = true;
  const { order, bought, sent } = await checkOut();
  fill(byId("done"), el("div.thanks", {}, el("strong", {}, t("Thank you! Order {order} is placed.", { order })),
    el("p", {}, sent ? t("Told to the recommender line by line ({n}), each with the shelf it was found on.", { n: bought.length })
      : t("The server is away; the purchases are told as soon as it is back."))));
  event.target.disabled = false;
  show();
  byId("cart-title").focus();
  mine.load();
});

strip(count);
for (const name of ["cart", "shopper", "storage"]) addEventListener(name, show);
addEventListener("serverback", () => mine.load());
show();
flush().then(() => mine.load());
