// What the agent writes: kept until it is sent, sent once, with canned answers at hand.
import { byId, el, fill, toast } from "../core/dom.js";
import { t } from "../core/texts.js";
import { call, session } from "./desk_session.js";
import { talk, talkPath } from "./desk_talk.js";

const field = byId("reply-text");
let waits = false;
let canned = [];

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
const key = (id) => `desk-draft:${id}`;

function stored(id) {
  try { return JSON.parse(sessionStorage.getItem(key(id))) ?? {}; } catch { return {}; }
}

/** The draft of the conversation that was opened. Its message_id stays with it: a reply that was
 * sent twice is stored once. */
export function openDraft() {
  field.value = talk.id ? stored(talk.id).text ?? "" : "";
  fill(byId("reply-error"));
  waits = false;
}

function keep() {
  const id = stored(talk.id).id ?? newId();
  if (field.value) sessionStorage.setItem(key(talk.id), JSON.stringify({ text: field.value, id }));
  else sessionStorage.removeItem(key(talk.id));
}

/** `refresh` shows what was sent. */
export function wireReply(refresh) {
  field.addEventListener("input", () => { waits = false; keep(); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(refresh); }
  });
  byId("reply").addEventListener("submit", (event) => { event.preventDefault(); send(refresh); });
  const again = () => { if (waits && talk.id) send(refresh); };
  addEventListener("serverback", again);
  addEventListener("loggedin", again);
  byId("canned").addEventListener("toggle", () => byId("canned").open && readCanned());
  byId("canned").addEventListener("keydown", (event) => { if (event.key === "Escape") closeCanned(); });
  byId("canned-name").addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); keepCanned(); }
  });
  byId("canned-keep").addEventListener("click", keepCanned);
}

async function send(refresh) {
  const id = talk.id, text = field.value;
  if (!text.trim()) return field.focus();
  keep();
  const button = byId("send");
  button.disabled = true;
  waits = false;
  fill(byId("reply-error"));
  try {
    await call(talkPath("messages"), { method: "POST", body: { text, message_id: stored(id).id } });
    sessionStorage.removeItem(key(id));
    if (talk.id === id) field.value = "";
    await refresh();
  } catch (error) {
    waits = !error.status || error.status === 401;
    fill(byId("reply-error"), failure(error));
  } finally {
    button.disabled = false;
    if (talk.id === id && !session.lost) field.focus();
  }
}

function failure(error) {
  if (!error.status) return t("Not sent yet: the server cannot be reached. Your reply is kept and goes out as soon as it is back.");
  if (error.status === 401) return t("Not sent yet: log in again and it goes out.");
  return error.message;
}

// --- canned answers ---

async function readCanned() {
  try { ({ canned } = await call("/v1/desk/canned")); } catch (error) { return fill(byId("canned-error"), error.message); }
  showCanned();
}

function showCanned() {
  fill(byId("canned-error"));
  fill(byId("canned-list"), canned.length ? canned.map(line) : el("li.muted", {}, t("None yet. Write a reply and keep it below.")));
}

const textOf = ({ texts }) => texts[talk.language] ?? texts.en ?? Object.values(texts)[0] ?? "";

const line = (one) => el("li", {},
  el("button.quiet.canned-use", { type: "button", onclick: () => use(textOf(one)) }, el("strong", {}, one.name), el("span.muted", {}, textOf(one))),
  el("button.quiet.small", { type: "button", "aria-label": t("Delete {name}", { name: one.name }), title: t("Delete {name}", { name: one.name }), onclick: () => drop(one.name) }, "✕"));

function use(text) {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const before = value.slice(0, from);
  field.value = `${before}${before && !/\s$/.test(before) ? " " : ""}${text}${value.slice(to)}`;
  keep();
  closeCanned();
}

function closeCanned() {
  byId("canned").open = false;
  field.focus();
}

async function keepCanned() {
  const name = byId("canned-name").value.trim(), text = field.value.trim();
  if (!name || !text) return fill(byId("canned-error"), t("Write a reply first, and give it a name."));
  const texts = { ...canned.find((one) => one.name === name)?.texts, [talk.language.slice(0, 2)]: text };
  try {
    await call(`/v1/desk/canned/${encodeURIComponent(name)}`, { method: "PUT", body: { texts } });
  } catch (error) { return fill(byId("canned-error"), error.message); }
  byId("canned-name").value = "";
  toast(t("Kept as “{name}”.", { name }));
  await readCanned();
}

async function drop(name) {
  try { await call(`/v1/desk/canned/${encodeURIComponent(name)}`, { method: "DELETE" }); } catch (error) { return fill(byId("canned-error"), error.message); }
  await readCanned();
  byId("canned").querySelector("summary").focus();
}
