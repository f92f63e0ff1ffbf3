// Companies with most news of the week, and how negative they are.
import { api } from "../core/api.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { number, percent, t } from "../core/texts.js";
import { keyed } from "./keyed.js";
import { known } from "./standing.js";
import { filterCompany } from "./stories.js";

export async function loadCompanies() {
  const { companies } = await api("/v1/companies?busiest=8");
  const firing = new Set(known.series.filter((one) => one.phase === "firing").map((one) => one.company));
  const items = companies.map((one) => ({ name: one.name, stories: one.stories_week, negative: one.negative_week, firing: firing.has(one.name) }));
  keyed(byId("companies"), items, (one) => one.name, row);
  byId("companies-empty").hidden = items.length > 0;
  if (!items.length) {
    fill(byId("companies-empty"), empty(t("No company was named this week"), t("Companies are found in stories where a list of them is set: TREFOIL_FINANCE_SENTIMENT_COMPANIES.")));
  }
}

function row(one) {
  const share = one.stories ? one.negative / one.stories : 0;
  const bar = el("i");
  bar.style.width = `${100 * share}%`;
  return el("li.company", {},
    el("div.between", {}, el("span", {}, el("span.strong", {}, one.name), one.firing && [" ", el("span.badge.negative", {}, t("alert"))]),
      el("button.small.quiet", { type: "button", dataset: { focus: "stories" }, "aria-label": t("Stories about {name}", { name: one.name }), onclick: () => filterCompany(one.name) }, t("Stories"))),
    el("span.bar.negative", { "aria-hidden": "true" }, bar),
    el("small", {}, t("{share} of {n} stories negative", { share: percent(share, 0), n: number(one.stories) })));
}
