// "Make this an answer": what customers write, and what the bot says to it from the next message on.
import { el, fill, toast } from "../core/dom.js";
import { t } from "../core/texts.js";

const LANGUAGES = { en: "English", zh: "中文" };

/** "Gift cards" → gift_cards; letters of any script stay. */
const nameOf = (said) => said.trim().toLowerCase().replace(/[^\p{L}\p{N}._/-]+/gu, "_").replace(/^_+|_+$/g, "").slice(0, 100);

/** Ask, and teach. `call`: as `api`; `path`: where intents are listed and taught; `mayChange`: the
 * answer of an intent that has one. `done` runs after it is taught. */
export async function teachDialog({ call, path, mayChange, texts, answer = "", name = "", language = "en", done = () => {} }) {
  let intents = [];
  try { ({ intents } = await call(path)); } catch (error) { return toast(error.message, "bad"); }
  const known = new Map(intents.map((intent) => [intent.name, intent]));
  const parts = fields({ intents, texts, answer, name, language });
  const dialog = el("dialog.teach", { "aria-labelledby": "teach-title" }, parts.form);
  document.body.append(dialog);
  const back = document.activeElement;
  dialog.addEventListener("close", () => { dialog.remove(); back?.isConnected && back.focus(); });
  const tell = () => hint(parts, known, mayChange);
  parts.name.addEventListener("input", tell);
  parts.language.addEventListener("change", tell);
  parts.cancel.addEventListener("click", () => dialog.close());
  parts.form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fill(parts.error);
    parts.save.disabled = true;
    try {
      const taught = await call(path, { method: "POST", body: asked(parts, known) });
      dialog.close();
      toast(t("The bot answers this by itself from the next message on ({intent}, {n} examples).", { intent: taught.intent, n: taught.examples }));
      done(taught);
    } catch (error) {
      fill(parts.error, error.status ? error.message : t("The server cannot be reached; try again in a moment."));
    } finally { parts.save.disabled = false; }
  });
  tell();
  dialog.showModal();
  (name ? parts.answer : parts.name).focus();
}

function fields({ intents, texts, answer, name, language }) {
  const list = el("datalist", { id: "teach-intents" }, intents.map((intent) => el("option", { value: intent.name }, intent.description.en ?? Object.values(intent.description)[0] ?? "")));
  const parts = {
    name: el("input", { id: "teach-name", list: "teach-intents", required: true, maxlength: "100", autocomplete: "off", value: name }),
    texts: el("textarea", { id: "teach-texts", required: true, value: texts.join("\n") }),
    answer: el("textarea", { id: "teach-answer", maxlength: "10000", value: answer }),
    language: el("select.inline", { id: "teach-language" }, Object.entries(LANGUAGES).map(([tag, word]) => el("option", { value: tag }, word))),
    hint: el("p.muted", { id: "teach-hint", role: "status" }),
    error: el("p.error", { role: "alert" }),
    save: el("button.primary", {}, t("Teach the bot")),
    cancel: el("button", { type: "button" }, t("Cancel")),
  };
  parts.language.value = language in LANGUAGES ? language : "en";
  parts.form = el("form", {}, el("h2", { id: "teach-title" }, t("Make this an answer")),
    el("label", { for: "teach-name" }, t("What is it about?")), parts.name, list, parts.hint,
    el("label", { for: "teach-texts" }, t("What customers write, one a line")), parts.texts,
    el("label", { for: "teach-answer" }, t("What the bot says then")), parts.answer,
    el("div.actions", {}, el("label", { for: "teach-language" }, t("Language of the answer")), parts.language),
    parts.error, el("div.actions", {}, parts.save, parts.cancel));
  return parts;
}

const intentOf = (parts, known) => known.get(parts.name.value.trim()) ?? known.get(nameOf(parts.name.value));

/** Say what will happen, and leave the answer alone where it may not be changed. */
function hint(parts, known, mayChange) {
  const intent = intentOf(parts, known);
  const has = !!intent?.languages.includes(parts.language.value);
  parts.answer.required = !intent;
  parts.answer.disabled = has && !mayChange;
  if (!parts.name.value.trim()) fill(parts.hint, t("A new topic in a few words, or one that the bot knows."));
  else if (!intent) fill(parts.hint, t("New: the bot learns it with this answer."));
  else if (!has) fill(parts.hint, t("The bot knows it and has no answer in this language yet."));
  else fill(parts.hint, mayChange ? t("The bot knows it: the examples are added. An answer here replaces its own; leave it empty to keep that.") : t("The bot knows it and keeps its answer: the examples are added."));
}

function asked(parts, known) {
  const intent = intentOf(parts, known);
  return {
    intent: intent?.name ?? nameOf(parts.name.value), title: parts.name.value.trim(), language: parts.language.value,
    texts: parts.texts.value.split("\n").map((text) => text.trim()).filter(Boolean),
    answer: parts.answer.disabled ? "" : parts.answer.value,
  };
}
