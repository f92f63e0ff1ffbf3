// The element <trefoil-chat>: a button that opens a conversation, or with `inline` the conversation
// in its place. Attributes, methods and colours: docs/WIDGET.md.
import { el, fill } from "../core/dom.js";
import { Link } from "./widget_link.js";
import { Memory } from "./widget_memory.js";
import { Talk } from "./widget_talk.js";
import { View, icon } from "./widget_view.js";
import { languageOf, words } from "./widget_words.js";

const SCRIPT = document.currentScript;
const STYLES = new CSSStyleSheet();
STYLES.replaceSync(CSS);
const MOST_CHARACTERS = 4000;
const OPEN = "M4 5h16v11H9l-5 4z", CLOSE = "M6 6l12 12M18 6L6 18", ANEW = "M5 12a7 7 0 1 0 2-5M7 3v4h4", SEND = "M4 12l16-8-6 16-3-6z";
const narrow = matchMedia("(max-width: 480px), (max-height: 420px)");
const touch = matchMedia("(pointer: coarse)");

class TrefoilChat extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLES];
    this.language = languageOf(this.getAttribute("lang"));
    this.t = words(this.language);
    const server = new URL(this.getAttribute("server") || SCRIPT?.src || "/", location.href).origin;
    const key = this.getAttribute("key") ?? "";
    this.memory = new Memory(`${server}|${key}`);
    this.link = new Link(server, key, this.memory);
    this.build(root);
    this.talk = new Talk(this.link, this.memory, this);
    const { open, handoff, token } = this.memory.state;
    if (this.inline || this.hasAttribute("open") || (open && !narrow.matches)) this.open(false);
    else if (this.memory.pending.length || (token && ["waiting", "taken"].includes(handoff))) this.talk.start();
  }

  get inline() { return this.hasAttribute("inline"); }

  build(root) {
    const { t } = this;
    const tool = (label, path, onclick) => el("button.tool", { type: "button", "aria-label": label, title: label, onclick }, icon(path));
    this.badge = el("span.badge", { hidden: true });
    this.launcher = el("button.launcher", { type: "button", "aria-haspopup": "dialog", onclick: () => this.open(), hidden: this.inline }, icon(OPEN), this.badge);
    this.who = el("p.who", { role: "status" });
    this.log = el("div.log", { role: "log", tabindex: 0, "aria-label": t("Conversation") });
    this.dots = el("div.dots", { hidden: true }, el("span.unseen", {}, t("The bot is writing")), el("i"), el("i"), el("i"));
    this.note = el("p.note", { role: "status" });
    this.field = el("textarea", { rows: 1, "aria-label": t("Your message"), placeholder: t("Your message"), enterkeyhint: "send", oninput: () => this.grow(), onkeydown: (event) => this.enter(event) });
    this.send = el("button.send", { "aria-label": t("Send"), title: t("Send") }, icon(SEND));
    this.panel = el("section.panel", { role: this.inline ? "region" : "dialog", tabindex: -1, "aria-labelledby": "heading", hidden: true, onkeydown: (event) => this.keys(event) },
      el("header", {}, el("div.title", {}, el("h2", { id: "heading" }, this.getAttribute("heading") || t("Support")), this.who),
        tool(t("Start over"), ANEW, () => this.reset()), !this.inline && tool(t("Close"), CLOSE, () => this.close())),
      this.log, this.dots, this.note,
      el("form.write", { onsubmit: (event) => { event.preventDefault(); this.submit(); } }, this.field, this.send));
    root.append(el("div.all", { lang: this.language }, this.panel, this.launcher));
    this.view = new View(this.t, this.log, {
      ask: (text, shown) => this.ask(text, shown),
      rate: (id, rating, comment) => this.rate(id, rating, comment),
      rated: (id) => this.memory.state.rated?.[id],
      focus: () => this.focusField(),
    });
    this.unread(0);
    this.greet();
    this.state("", this.memory.state.handoff ?? null);
  }

  greet() {
    const chips = (this.getAttribute("suggestions") ?? "").split("|").map((one) => one.trim()).filter(Boolean);
    const text = this.getAttribute("greeting") || this.t("Hello! What can I help you with?");
    const answer = { sources: [], buttons: chips.map((one) => ({ title: one, payload: one })) };
    this.view.draw({ id: "", who: "bot", text, answer, at: 0 });
  }

  // --- what a page may call ------------------------------------------------------------------

  open(focus = true) {
    this.panel.hidden = false;
    this.launcher.hidden = true;
    if (!this.inline) {
      this.panel.setAttribute("aria-modal", String(narrow.matches));
      this.memory.keep({ open: true });
    }
    this.talk?.start();
    this.talk?.count();
    if (focus && touch.matches) this.panel.focus();
    else if (focus) this.field.focus();
  }

  close() {
    if (this.inline) return;
    this.panel.hidden = true;
    this.launcher.hidden = false;
    this.memory.keep({ open: false });
    this.launcher.focus();
  }

  ask(text, shown) {
    if (this.panel.hidden) this.open();
    return this.talk.ask(text, shown);
  }

  reset() {
    this.talk.restart();
    this.field.focus();
  }

  // --- what the conversation tells -----------------------------------------------------------

  isOpen() { return !this.panel.hidden; }

  draw(entry) {
    const asked = this.shadowRoot.activeElement === this.field && !this.field.value;
    this.view.draw(entry);
    // A form's next question: whoever is writing goes on in its field.
    if (asked && entry.answer) [...this.log.querySelectorAll(".slot input")].at(-1)?.focus();
  }

  date(entry) { this.view.date(entry); }

  clear() {
    this.view.clear();
    this.greet();
  }

  typing(shown) {
    this.dots.hidden = !shown;
  }

  state(connection, handoff, closed) {
    const { t } = this;
    const told = { waiting: t("Waiting for a colleague; you can go on writing"), taken: t("A colleague is here") };
    const problem = {
      away: t("No connection. It is tried again by itself, nothing gets lost."),
      busy: t("The service is busy. It is tried again by itself."),
      refused: t("This chat is not open to this page."),
    };
    const say = (node, text) => node.textContent === text || fill(node, text);
    say(this.who, told[handoff] ?? t("Answers at once"));
    say(this.note, problem[connection] ?? (closed ? t("Your colleague has closed this. The bot answers again.") : ""));
    if (connection !== this.connection) this.dispatchEvent(new CustomEvent("trefoil-chat", { bubbles: true, detail: { connection, handoff } }));
    this.connection = connection;
  }

  unread(count) {
    const text = count > 99 ? "99+" : String(count);
    this.badge.hidden = count === 0;
    this.badge.textContent = text;
    const label = this.t("Open the chat");
    this.launcher.setAttribute("aria-label", count ? `${label}, ${this.t("new messages: {n}", { n: text })}` : label);
  }

  async rate(id, rating, comment) {
    await this.link.rate(id, rating, comment);
    const rated = Object.entries({ ...this.memory.state.rated, [id]: rating }).slice(-100);
    this.memory.keep({ rated: Object.fromEntries(rated) });
  }

  // --- writing -------------------------------------------------------------------------------

  submit() {
    const text = this.field.value.trim();
    if (!text || text.length > MOST_CHARACTERS) return this.field.focus();
    this.field.value = "";
    this.grow();
    this.talk.ask(text);
    this.field.focus();
  }

  enter(event) {
    // 229: the key belongs to an input method, which is still writing a word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.submit();
  }

  grow() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight + 2, 140)}px`;
    const over = this.field.value.trim().length - MOST_CHARACTERS;
    this.send.disabled = over > 0;
    this.field.setAttribute("aria-invalid", String(over > 0));
    if (over > 0) fill(this.note, this.t("{n} characters too many", { n: over }));
    else if (this.wasOver) this.talk.tell(this.talk.connection ?? "");
    this.wasOver = over > 0;
  }

  focusField() {
    if (touch.matches) this.log.focus();
    else this.field.focus();
  }

  keys(event) {
    if (event.key === "Escape" && !this.inline && !event.isComposing) {
      event.stopPropagation();
      this.close();
    }
    if (event.key !== "Tab" || this.panel.getAttribute("aria-modal") !== "true") return;
    // It covers the page, so the focus stays within.
    const stops = [...this.panel.querySelectorAll("button, textarea, input, a[href], summary, [tabindex='0']")].filter((one) => one.offsetParent && !one.disabled);
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (this.shadowRoot.activeElement !== from) return;
    event.preventDefault();
    to.focus();
  }
}

function begin() {
  if (!customElements.get("trefoil-chat")) customElements.define("trefoil-chat", TrefoilChat);
  if (!SCRIPT || document.querySelector("trefoil-chat")) return;
  document.body.append(el("trefoil-chat", SCRIPT.dataset));
}
if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin);
else begin();
