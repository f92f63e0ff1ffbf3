// A shelf: a list that the recommender fills, that follows what the shopper does, and shows what
// changed since they last looked.
import { api } from "../core/api.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { t } from "../core/texts.js";
import { cardsOf, productCard, refill } from "./products.js";
import { called, named, rememberShelf, steps } from "./shopper.js";

const post = (path, body) => api(path, { method: "POST", body });
const days = (n) => new Date(Date.now() - n * 86_400_000).toISOString();

/** What each shelf asks for. */
export const ASK = {
  recommended: (scenario, n, more = {}) => () => post("/v1/recommendations", { ...named(), scenario, n, ...more }),
  fresh: (n) => () => post("/v1/recommendations", { ...named(), scenario: "new", n, filter: { created_at: { gte: days(90) } } }),
  trending: (n) => async () => {
    const lately = await api(`/v1/trending?n=${n}`);
    return lately.items.length >= 4 ? lately : api(`/v1/trending?n=${n}&days=90`);
  },
  similar: (id, n) => () => api(`/v1/similar/${encodeURIComponent(id)}?n=${n}`),
  together: (id, n) => async () => {
    const path = `/v1/bought-together/${encodeURIComponent(id)}?n=${n}`, often = await api(path);
    return often.items.length ? often : api(`${path}&support=1`);
  },
};

/** How an item moved since the list was `before`: Infinity where it is new, else places up. Lists of
 * different lengths are compared as far as both go. */
function moved(id, place, ids, before) {
  const depth = Math.min(ids.length, before?.length ?? 0);
  if (place >= depth) return 0;
  const was = before.slice(0, depth).indexOf(id);
  return was < 0 ? Infinity : Math.max(was - place, 0);
}
const inWords = (up) => (up === Infinity ? t("new here") : up > 0 ? `▲ ${up}` : "");

/** A shelf in `section` (its list and its words are there). `ask` gives the answer; `follows`: it is
 * the shopper's own, so it tells what changed. Gives {load}, which says
 * whether it could be filled. */
export function shelf(section, { scenario, ask, follows = false, nothing = "", note = () => "", changed = () => {} }) {
  const list = section.querySelector("ul"), said = section.querySelector("[role=status]");
  let turn = 0;
  async function load() {
    const mine = ++turn;
    const answer = await ask();
    const cards = await cardsOf([...answer.items.map((i) => i.item_id), ...answer.items.flatMap((i) => (i.reasons ?? []).map((r) => r.item_id))]);
    if (mine !== turn) return;
    const shown = answer.items.filter((item) => cards.has(item.item_id));
    const ids = shown.map((item) => item.item_id);
    const before = follows ? rememberShelf(ids) : null;
    const ups = ids.map((id, place) => moved(id, place, ids, before?.ids));
    refill(list, shown.map((item, place) => productCard(cards.get(item.item_id), {
      from: { recommendation_id: answer.recommendation_id, position: item.rank, scenario },
      reasons: item.reasons, cards, note: note(item), mark: inWords(ups[place]), added: changed,
    })));
    list.hidden = !shown.length;
    section.hidden = !shown.length && !nothing;
    section.querySelector(".empty")?.remove();
    if (!shown.length && nothing) list.after(empty(nothing));
    if (said && follows) say(said, ups, before);
  }
  return { load: () => load().then(() => true, (error) => failed(section, list, error)) };
}

function say(said, ups, before) {
  const last = steps().at(-1);
  const fresh = ups.filter((one) => one === Infinity).length, up = ups.filter((one) => one > 0).length - fresh;
  const text = !last ? t("Chosen for {name}. Click about, and it follows.", { name: called() })
    : fresh || up ? t("Since {step}: {fresh} new here, {up} moved up.", { step: last, fresh, up })
      : before?.stepped ? t("Unchanged since {step}.", { step: last }) : t("Lately {step}.", { step: last });
  if (said.textContent !== text) said.textContent = text;
}

function failed(section, list, error) {
  if (list.querySelector("li:not(.waiting)") || !error.status || section.hidden) return;
  list.hidden = true;
  section.querySelector(".empty")?.remove();
  list.after(error.status === 503
    ? empty(t("No model is live yet."), t("Train one and promote it; this page looks again by itself."))
    : empty(t("This shelf could not be filled."), error.message));
}

/** Fill the strip at the top of each page of the shop. */
export function strip(count) {
  const cart = byId("cart-count");
  const show = () => { const n = count(); fill(cart, String(n)); cart.hidden = !n; };
  const name = byId("shopping-as");
  const tellName = () => { if (name) fill(name, t("Shopping as {name}", { name: called() })); };
  show(); tellName();
  for (const event of ["cart", "storage", "shopper"]) addEventListener(event, () => { show(); tellName(); });
}

export const skeleton = (list, n) => fill(list, Array.from({ length: n }, () => el("li.product.waiting", { "aria-hidden": true }, el("span.frame"))));
