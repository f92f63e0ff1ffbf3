// What answers a text: the items, what was understood, and why each is there.
import { api } from "../core/api.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { t } from "../core/texts.js";
import { count } from "./basket.js";
import { cardsOf, productCard } from "./products.js";
import { strip } from "./shelves.js";
import { flush, named } from "./shopper.js";

const query = byId("q").value.trim(), list = byId("found");
let cursor = "";

async function load(more) {
  if (!query) {
    fill(list, el("li.wide", {}, empty(t("What are you looking for?"), t("Say it in your words: “warm gloves under 60”, “something for a birdwatcher”."))));
    return;
  }
  const answer = await api("/v1/search", { method: "POST", body: { q: query, n: 24, cursor: more ? cursor : "", ...named() } });
  const cards = await cardsOf(answer.items.map((item) => item.item_id));
  const found = answer.items.filter((item) => cards.has(item.item_id)).map((item) => productCard(cards.get(item.item_id), {
    from: { recommendation_id: answer.recommendation_id, position: item.rank, scenario: "search" }, reasons: item.reasons, cards,
  }));
  if (more) { list.append(...found); found[0]?.querySelector("a").focus(); } else fill(list, found);
  cursor = answer.cursor ?? "";
  byId("more").hidden = !answer.cursor || !found.length;
  fill(byId("found-title"), t("“{query}”", { query }));
  fill(byId("understood"), answer.understood.phrases.map((phrase) => el("span.badge.good", {}, t("only: {phrase}", { phrase }))));
  fill(byId("said"), list.children.length ? t("The best answers first, by words and by meaning.") : "");
  if (!list.children.length) fill(list, el("li.wide", {}, empty(t("Nothing answers that."), t("Try other words, or fewer of them."))));
}

function failed(error) {
  if (list.children.length || !error.status) { setTimeout(() => load(false).catch(failed), 5000); return; }
  fill(byId("said"), "");
  fill(list, el("li.wide", {}, empty(error.status === 503 ? t("No model is live yet.") : t("The search did not work."), error.message)));
}

strip(count);
byId("more").addEventListener("click", () => load(true).catch(() => {}));
addEventListener("serverback", () => list.children.length || load(false).catch(failed));
flush();
load(false).catch(failed);
