// What the bot could not answer, by topic, each with the button that makes an intent of it.
import { byId, el, fill } from "../core/dom.js";
import { number, percent, relative, t } from "../core/texts.js";
import { call } from "./desk_session.js";
import { teachDialog } from "./desk_teach.js";

const FEW = 8;
let all = false, found = null, shown = "";

/** Show what GET /v1/admin/gaps gave. `again` asks for it anew. */
export function showGaps(gaps, again) {
  found = gaps;
  const now = JSON.stringify([gaps.gaps, all]);
  byId("gaps-note").textContent = note(gaps);
  if (now === shown) return;
  shown = now;
  // What came once is hardly a topic; it is shown where there is nothing else.
  const several = gaps.gaps.filter((gap) => gap.count > 1);
  const rows = several.length ? several : gaps.gaps;
  byId("gaps-more").hidden = all || rows.length <= FEW;
  byId("gaps-more").onclick = () => { all = true; showGaps(found, again); byId("gaps").children[FEW]?.querySelector("summary, button")?.focus(); };
  fill(byId("gaps"), rows.slice(0, all ? undefined : FEW).map((gap) => line(gap, rows[0].count, again)));
}

function note({ turns, unanswered, groups, days, at }) {
  if (!turns) return t("No messages in the last {days} days.", { days });
  if (!unanswered) return t("Every message of the last {days} days got an answer ({n}).", { n: number(turns), days });
  return t("{n} of {all} messages in {days} days got no answer to rely on, in {groups} groups. Worked out {when}.", { n: number(unanswered), all: number(turns), days, groups: number(groups), when: relative(at) });
}

function line(gap, largest, again) {
  const bar = el("i");
  bar.style.width = `${(100 * gap.count) / largest}%`;
  const [first, ...others] = gap.examples;
  const near = gap.nearest_intent && t("nearest: {intent}, {likeness}", { intent: gap.nearest_intent, likeness: percent(gap.similarity, 0) });
  return el("li.gap", {},
    el("div.gap-count", {}, el("strong", {}, number(gap.count)), el("span.bar", { "aria-hidden": "true" }, bar)),
    el("div.gap-text", {},
      el("h3", {}, gap.name),
      el("p", {}, "“", first, "”"),
      others.length > 0 && el("details", {}, el("summary", {}, t("{n} more like it", { n: others.length })), el("ul", {}, others.map((text) => el("li", {}, text)))),
      el("p.muted.gap-facts", {}, [near, gap.person_share > 0 && t("{share} went to a person", { share: percent(gap.person_share, 0) }), gap.by_design > .5 && t("handed over on purpose")].filter(Boolean).join(" · "))),
    gap.taught ? el("span.badge.good", {}, t("taught: {intent}", { intent: gap.taught }))
      : el("button", { type: "button", onclick: () => teach(gap, again) }, t("Make an intent of it")));
}

function teach(gap, again) {
  const chinese = /\p{Script=Han}/u.test(gap.examples[0]);
  return teachDialog({
    call, path: "/v1/admin/intents", mayChange: true, texts: gap.examples, answer: gap.draft_answer, name: gap.name,
    language: chinese ? "zh" : "en", done: again,
  });
}
