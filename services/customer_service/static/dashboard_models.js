// Versions and candidates: which is live, what another would change, promote and roll back.
import { byId, el, fill, toast } from "../core/dom.js";
import { moment, number, percent, t } from "../core/texts.js";
import { barLine } from "./dashboard_figures.js";
import { confirmed, shownAside } from "./dashboard_ask.js";
import { call } from "./desk_session.js";

const STATES = { promoted: ["went live", "good"], kept: ["waits for you", "warn"], failed: ["failed", "negative"], dropped: ["made room", ""] };
const SHOWN = 12;
let shown = "", changed = async () => {};

/** Show both lists, newest first. */
export function showModels({ models }, { candidates }) {
  const now = JSON.stringify([models, candidates]);
  if (now === shown) return;
  shown = now;
  byId("roll-back").hidden = models.length < 2;
  fill(byId("models"), models.length ? models.slice(0, SHOWN).map(version) : el("li.empty", {}, el("strong", {}, t("No model is live")), el("p", {}, t("Train one and promote it: trefoil customer-service train, trefoil models promote."))));
  const waiting = candidates.filter((one) => one.state === "kept"), others = candidates.filter((one) => one.state !== "kept").slice(0, 5);
  fill(byId("candidates"), [...waiting, ...others].length > 0 && [el("h3", {}, t("Retrained")), el("ul.plain.rows", {}, [...waiting, ...others].map(candidate))],
    models.length > 0 && el("h3", {}, t("Versions")));
}

function version(model) {
  const sure = model.accuracy_ci ? t("{share} right ({low} to {high})", { share: percent(model.accuracy), low: percent(model.accuracy_ci[0]), high: percent(model.accuracy_ci[1]) }) : t("not measured");
  return el("li.model", {},
    el("div", {}, el("strong", {}, t("Version {n}", { n: model.number })), " ", model.live && el("span.badge.good", {}, t("live")), " ", el("span.muted", {}, moment(model.created_at), " · ", el("code", {}, model.version))),
    el("div.muted", {}, t("Held-out questions: {sure}", { sure })),
    model.note && el("details", {}, el("summary", {}, t("Its promise")), el("p", {}, model.note)));
}

function candidate(one) {
  const [word, kind] = STATES[one.state];
  return el("li.model", {},
    el("div", {}, el("strong", {}, t("Candidate {n}", { n: one.id })), " ", el("span", { class: `badge ${kind}` }, t(word)), " ", el("span.muted", {}, moment(one.created_at), " · ", t("{n} taught examples", { n: number(one.examples) }))),
    one.reasons.map((reason) => el("p.muted", {}, reason)),
    one.changed != null && el("div.actions", {},
      el("button.small", { type: "button", onclick: () => compare(one.id) }, t("What would change ({n})", { n: number(one.changed) })),
      one.state === "kept" && el("button.small.primary", { type: "button", onclick: () => promote(one) }, t("Promote"))));
}

const named = (intent) => intent ?? t("no answer of its own");

async function compare(id) {
  let one;
  try { one = await call(`/v1/admin/candidates/${id}`); } catch (error) { return toast(error.message, "bad"); }
  const { turns, changed: n, by_intent: pairs = [], sample = [] } = one.replay;
  const largest = pairs[0]?.count ?? 0;
  shownAside(t("What would change"),
    el("p", {}, t("The newest {turns} messages were read by both models: {n} would be answered otherwise.", { turns: number(turns), n: number(n) })),
    el("ol.plain.bars", {}, pairs.slice(0, SHOWN).map((pair) => barLine(`${named(pair.from)} → ${named(pair.to)}`, pair.count, largest))),
    sample.length > 0 && el("h3", {}, t("For instance")),
    el("ul.plain.rows", {}, sample.slice(0, 30).map((change) => el("li", {}, "“", change.text, "”", el("p.muted", {}, `${named(change.from)} → ${named(change.to)}`)))));
}

async function done(path, text) {
  try {
    await call(path, { method: "POST" });
    toast(text);
  } catch (error) { toast(error.status ? error.message : t("The server cannot be reached; try again in a moment."), "bad"); }
  await changed();
  if (document.activeElement === document.body) byId("models-title").focus();
}

async function promote(one) {
  const said = one.reasons.length ? t("What spoke against it: {reasons}", { reasons: one.reasons.join("; ") }) : t("Nothing spoke against it.");
  if (await confirmed(t("Make candidate {n} live?", { n: one.id }), said, t("Promote"))) await done(`/v1/admin/candidates/${one.id}/promote`, t("Candidate {n} is live.", { n: one.id }));
}

async function rollBack() {
  if (await confirmed(t("Go back to the model before?"), t("Every process answers with it within a second. What was taught stays."), t("Roll back"))) await done("/v1/admin/models/rollback", t("The model before is live again."));
}

/** `again` reads everything anew. */
export function wireModels(again) {
  changed = again;
  byId("roll-back").addEventListener("click", rollBack);
}
