// Which items are wanted, never shown, never clicked, new: a list with bars, one of four at a time.
import { byId, el, empty, fill } from "../core/dom.js";
import { number, relative, t } from "../core/texts.js";

const WHICH = {
  top: {
    said: () => t("Clicked, put into carts and bought most, wherever that came from."),
    size: (row) => row.wanted, counts: (row) => t("{n} wanted · {bought} bought", { n: number(row.wanted), bought: number(row.bought) }),
    nothing: ["Nobody took anything in this period.", "Send events with POST /v1/events, or go shopping in the storefront."],
  },
  never_shown: {
    said: (found) => t("{n} of {all} items stood on no shelf. Exploration gives them a chance: see `exploration` in the requests.", { n: number(found.never_shown_count), all: number(found.items) }),
    size: (row) => row.wanted, counts: (row) => t("{n} wanted elsewhere", { n: number(row.wanted) }),
    nothing: ["Every item stood on a shelf.", ""],
  },
  never_clicked: {
    said: (found) => t("{n} items were shown and never clicked; those shown most come first. Look at their pictures and titles.", { n: number(found.never_clicked_count) }),
    size: (row) => row.shown, counts: (row) => t("shown {n} times", { n: number(row.shown) }),
    nothing: ["Nothing was shown in vain.", ""],
  },
  new: {
    said: (found) => t("{n} items came in the last 30 days.", { n: number(found.new_count) }),
    size: (row) => row.shown, counts: (row) => t("{when} · shown {shown} · clicked {clicked}", { when: relative(row.since * 1000), shown: number(row.shown), clicked: number(row.clicked) }),
    nothing: ["No item came in the last 30 days.", ""],
  },
};

let which = "top", found = null;

/** What the server counted. */
export function useItems(counted) { found = counted; showItems(which); }

/** Show one of the four lists. */
export function showItems(chosen) {
  which = chosen;
  if (!found) return;
  const { said, size, counts, nothing } = WHICH[which], rows = found[which];
  const most = Math.max(1, ...rows.map(size));
  fill(byId("items-said"), rows.length ? said(found) : "");
  fill(byId("items"), rows.map((row) => {
    const bar = el("i");
    bar.style.width = `${(100 * size(row)) / most}%`;
    return el("li", {}, el("span", {}, el("a", { href: `/products/${row.item_id.split("/").map(encodeURIComponent).join("/")}` }, row.title), " ", el("span.item-id", {}, row.item_id)),
      el("span.bar", { "aria-hidden": true }, bar), el("span.counts", {}, counts(row)));
  }));
  if (!rows.length) fill(byId("items"), el("li", {}, empty(t(nothing[0]), nothing[1] && t(nothing[1]))));
}
