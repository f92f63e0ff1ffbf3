// What is in the cart: kept in this browser, one for each shopper.
import { lang } from "../core/texts.js";
import { fresh, tell, who } from "./shopper.js";

const key = () => `trefoil-cart:${who().id}`;
const MOST = 99;

/** [{item, quantity, from}], in the order they came. */
export function lines() {
  try { return JSON.parse(localStorage.getItem(key())) ?? []; } catch { return []; }
}
function keep(all) {
  try { localStorage.setItem(key(), JSON.stringify(all)); } catch { /* private mode */ }
  dispatchEvent(new Event("cart"));
}
export const count = () => lines().reduce((sum, line) => sum + line.quantity, 0);

const money = (item, quantity) => (item.price == null ? {} : { value: item.price * quantity, currency: item.currency || undefined });

/** One more of the item; resolves when the server knows. */
export function add(item, from) {
  const all = lines(), there = all.find((line) => line.item.item_id === item.item_id);
  if (there) there.quantity = Math.min(there.quantity + 1, MOST);
  else all.push({ item: slim(item), quantity: 1, from });
  keep(all);
  return tell("add_to_cart", item, { from, quantity: 1, ...money(item, 1) });
}

const slim = ({ item_id, title, price, currency, category, tags, image }) => ({ item_id, title, price, currency, category, tags: (tags ?? []).slice(0, 6), image });

/** So many of it; none takes it out. */
export function setQuantity(itemId, quantity) {
  const all = lines(), line = all.find((one) => one.item.item_id === itemId);
  if (!line) return Promise.resolve(true);
  const gone = quantity <= 0;
  line.quantity = Math.min(quantity, MOST);
  keep(gone ? all.filter((one) => one !== line) : all);
  return gone ? tell("remove_from_cart", line.item, { from: line.from, ...money(line.item, 1) }) : Promise.resolve(true);
}

/** Buy all of it: one purchase a line, with where it was found. Gives the number of the order. */
export async function checkOut() {
  const bought = lines(), order = `demo-${fresh()}`;
  const told = bought.map(({ item, quantity, from }) =>
    tell("purchase", item, { from, order_id: order, quantity, ...money(item, quantity), key: `${order}-${item.item_id}` }));
  keep([]);
  return { order, bought, sent: (await Promise.all(told)).every(Boolean) };
}

/** Sums by currency: [[currency, sum]]. */
export function totals(all = lines()) {
  const sums = new Map();
  for (const { item, quantity } of all) {
    if (item.price != null) sums.set(item.currency, (sums.get(item.currency) ?? 0) + item.price * quantity);
  }
  return [...sums];
}

/** 39 and "EUR" as €39.00; a currency that nobody knows stands behind the number. */
export function price(amount, currency, more = {}) {
  if (amount == null) return "";
  const locale = lang === "zh" ? "zh-CN" : "en-GB";
  try { return new Intl.NumberFormat(locale, { style: "currency", currency, ...more }).format(amount); } catch {
    return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(amount)} ${currency || ""}`.trim();
  }
}
