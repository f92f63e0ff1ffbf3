// The desk: the queue, one conversation, the reply. Looked at anew every two seconds and a half.
import { refreshing } from "../core/api.js";
import { byId, fill, toast } from "../core/dom.js";
import { duration, t } from "../core/texts.js";
import { holder, reason, showQueue } from "./desk_queue.js";
import { openDraft, wireReply } from "./desk_reply.js";
import { call, session, start } from "./desk_session.js";
import { openTalk, readTalk, talk, talkPath } from "./desk_talk.js";
import { teachDialog } from "./desk_teach.js";

const SECONDS = 2.5;
const work = byId("work");
let limit = 50;
let refresh = async () => {};

const teach = ({ texts, answer, guess }) => teachDialog({
  call, path: "/v1/desk/intents", mayChange: session.me.role === "admin", texts, answer, name: "", guess, language: talk.language.slice(0, 2),
});

async function load() {
  if (session.lost) return;
  const page = await call(`/v1/desk/queue?limit=${limit}`);
  showQueue(page, { me: session.me.name, open: talk.id, choose });
  if (limit >= 200) byId("queue-more").hidden = true;
  await readTalk(teach);
  showState();
}

async function choose(id) {
  openTalk(id);
  openDraft();
  work.classList.toggle("open", !!id);
  for (const row of document.querySelectorAll(".queue-row")) row.removeAttribute("aria-current");
  if (!id) return;
  byId("talk-title").textContent = id;
  try { await load(); } catch (error) { failed(error); }
  if (talk.id === id) byId("talk-title").focus();
}

/** What may be done with the open conversation, by whose it is. */
function showState() {
  const { handoff } = talk;
  if (!talk.id || !handoff) return;
  const mine = handoff.state === "taken" && handoff.agent === session.me.name;
  const admin = session.me.role === "admin";
  const over = handoff.state === "resolved";
  byId("take").hidden = mine || over || handoff.state === "taken";
  byId("release").hidden = !(mine || (admin && handoff.state === "taken"));
  byId("resolve").hidden = !(mine || (admin && !over));
  const was = byId("reply-set").disabled;
  byId("reply-set").disabled = !mine;
  if (was && mine) byId("reply-text").focus();
  const text = over ? t("Resolved: the bot answers again.") : handoff.state === "waiting"
    ? t("Waiting for {time}: {reason}. Take it to answer.", { time: duration(handoff.waiting_seconds), reason: reason(handoff.reason) })
    : holder(handoff, session.me.name);
  if (byId("talk-state").textContent !== text) byId("talk-state").textContent = text;
}

async function act(word, said) {
  try {
    await call(talkPath(word), { method: "POST" });
    if (said) toast(said);
  } catch (error) {
    toast(error.status ? error.message : t("The server cannot be reached; try again in a moment."), "bad");
  }
  try { await load(); } catch (error) { failed(error); }
}

function failed(error) {
  if (error.status === 404 && talk.id) {
    toast(t("This conversation is not there any more."), "bad");
    choose(null);
  } else if (error.status && error.status !== 401) {
    fill(byId("queue-said"), error.message);
  }
}

function enter() {
  work.hidden = false;
  byId("take").addEventListener("click", () => act("take"));
  byId("release").addEventListener("click", () => act("release", t("Given back: it waits in its old place.")));
  byId("resolve").addEventListener("click", () => act("resolve", t("Resolved: the bot answers again.")));
  byId("back").addEventListener("click", () => { choose(null); document.querySelector(".queue-row")?.focus(); });
  byId("queue-more").addEventListener("click", () => { limit = 200; refresh(); });
  wireReply(load);
  refresh = refreshing(load, SECONDS, failed);
  addEventListener("loggedin", refresh);
}

start({ loggedIn: work.dataset.loggedIn === "true", agents: work.dataset.agents === "true", onEnter: enter });
