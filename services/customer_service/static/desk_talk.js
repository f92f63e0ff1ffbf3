// A conversation as it was: the customer, the bot, and people, in order of time; and beside it what
// the bot made of a message.
import { byId, el, fill, safeLink } from "../core/dom.js";
import { moment, percent, t } from "../core/texts.js";
import { call } from "./desk_session.js";

const MOST_SHOWN = 400;
const ACTIONS = {
  answer: "answered", call: "looked up and answered", ask_slot: "asked for a detail", retrieve: "quoted articles",
  clarify: "asked back", abstain: "did not know", handoff: "handed over",
};

/** What is open: its id, the place behind what is shown, and the customer's last question. */
export const talk = { id: null, cursor: "", handoff: null, language: "en", asked: "" };

const path = (id) => `/v1/desk/conversations/${encodeURIComponent(id)}`;
export const talkPath = (rest) => `${path(talk.id)}/${rest}`;

/** Open one, or nothing (null). */
export function openTalk(id) {
  Object.assign(talk, { id, cursor: "", handoff: null, asked: "" });
  fill(byId("transcript"));
  fill(byId("view-in"), el("p.muted", {}, t("Its guesses and the articles it looked at stand here, for the message that you choose.")));
  byId("talk").hidden = !id;
  byId("talk-none").hidden = !!id;
}

/** Fetch what has come since, and show it. */
export async function readTalk(teach) {
  const id = talk.id;
  if (!id) return;
  let page;
  do {
    const { cursor } = talk;
    page = await call(`${path(id)}?${new URLSearchParams({ limit: "200", cursor })}`);
    // Another conversation was opened, or another look was faster.
    if (talk.id !== id || talk.cursor !== cursor) return;
    const first = cursor === "";
    talk.cursor = page.poll_cursor;
    talk.handoff = page.handoff;
    talk.language = page.handoff?.language ?? page.locale;
    append(page, teach, first);
  } while (page.next_cursor);
}

function append(page, teach, first) {
  const items = [
    ...page.turns.map((turn) => ({ at: turn.created_at, make: () => turnNodes(turn, teach) })),
    ...page.messages.map((said) => ({ at: said.created_at, make: () => [agentNode(said, teach)] })),
  ].sort((a, b) => new Date(a.at) - new Date(b.at));
  if (!items.length) return;
  const log = byId("transcript");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  // What was there before is not read out, only what comes.
  log.setAttribute("aria-live", first ? "off" : "polite");
  log.append(...items.flatMap((item) => item.make()));
  while (log.children.length > MOST_SHOWN) log.firstElementChild.remove();
  if (first || atEnd) log.scrollTop = log.scrollHeight;
  const read = page.turns.filter((turn) => turn.guesses.length);
  const last = read.filter((turn) => !calls(turn)).at(-1) ?? (first ? read.at(-1) : null);
  if (last) showView(last, teach);
}

const time = (at) => el("time", { datetime: at }, moment(at));

/** Whether the message only asked for a person: what it was about was said before. */
const calls = (turn) => turn.action === "handoff" && !!turn.text && turn.guesses[0]?.confidence >= .5;

function turnNodes(turn, teach) {
  if (!calls(turn) || !talk.asked) talk.asked = turn.message;
  const nodes = [el("div.say.customer", {}, el("p.said", {}, turn.message), el("p.meta", {}, t("Customer"), " · ", time(turn.created_at)))];
  if (!turn.text && !turn.guesses.length) return nodes;
  const why = turn.guesses.length > 0 && el("button.quiet.small", { type: "button", onclick: () => showView(turn, teach) }, t("Why?"));
  nodes.push(el("div.say.bot", {}, el("p.said", {}, turn.text || "–"), el("p.meta", {}, t("Bot"), " · ", t(ACTIONS[turn.action] ?? turn.action), why)));
  return nodes;
}

function agentNode(said, teach) {
  const { asked } = talk;
  return el("div.say.agent", {}, el("p.said", {}, said.text),
    el("p.meta", {}, said.shown_as, " · ", time(said.created_at),
      el("button.quiet.small", { type: "button", onclick: () => teach({ texts: [asked], answer: said.text }) }, t("Make this an answer"))));
}

/** The side: what the bot made of this message. */
function showView(turn, teach) {
  fill(byId("view-in"),
    el("blockquote.asked", {}, turn.message),
    el("h3", {}, t("Its guesses")),
    el("ol.plain.guesses", {}, turn.guesses.map(guess)),
    el("h3", {}, t("Articles it quoted")),
    turn.sources.length ? el("ul.plain.sources", {}, turn.sources.map(source)) : el("p.muted", {}, t("None: no article spoke to it.")),
    el("button", { type: "button", onclick: () => teach({ texts: [turn.message], answer: byId("reply-text").value, guess: turn.guesses[0]?.intent }) }, t("Make this an answer")));
}

function guess({ intent, confidence }) {
  const bar = el("i");
  bar.style.width = `${Math.round(confidence * 100)}%`;
  return el("li", {}, el("span.guess-name", {}, intent), el("span.guess-sure", {}, percent(confidence, 0)), el("span.bar", { "aria-hidden": "true" }, bar));
}

const source = ({ title, url, quote }) => el("li", {}, url ? safeLink(url, title) : el("strong", {}, title), el("p.muted", {}, quote));
