// What does the conversation look like? Every text is set as text; only web addresses become links.
import { el, fill, safeLink } from "../core/dom.js";
import { words, writtenIn } from "./widget_words.js";

const ADDRESS = /https?:\/\/[\w\-.~:/?#[\]@!$&'()*+,;=%]+/gi;
export const MOST_SHOWN = 400;
const RATED = ["answer", "retrieve", "call", "abstain", "clarify"];

/** The text with its web addresses as links; a mark behind an address is not part of it. */
function linked(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = found.replace(/[.,;:!?'*)\]]+$/, "");
    parts.push(text.slice(end, index), safeLink(address, address));
    end = index + address.length;
  }
  return [...parts, text.slice(end)];
}

/** A drawing of 24 × 24. */
export function icon(path) {
  const [svg, line] = ["svg", "path"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

const UP = "M7 11v9H4v-9zM7 11l4-8c2 0 3 1 2.5 3L13 10h5c2 0 2.5 1 2 3l-1.5 5c-.4 1.5-1 2-2.5 2H7";
const DOWN = "M17 13V4h3v9zM17 13l-4 8c-2 0-3-1-2.5-3l.5-4H6c-2 0-2.5-1-2-3l1.5-5c.4-1.5 1-2 2.5-2h9";

export class View {
  /** `acts`: ask(text, shown), rate(id, rating, comment) → promise, rated(id), focus(). */
  constructor(t, log, acts) {
    Object.assign(this, { t, log, acts });
    this.nodes = new Map();
    // Who reads the end goes on reading it, also where a notice or a phone's keyboard takes place.
    this.end = true;
    log.addEventListener("scroll", () => { this.end = log.scrollHeight - log.scrollTop - log.clientHeight < 80; });
    new ResizeObserver(() => this.end && this.showEnd()).observe(log);
  }

  clear() {
    for (const { node } of this.nodes.values()) node.remove();
    this.nodes.clear();
  }

  draw(entry) {
    const known = this.nodes.get(entry.id);
    const node = this.made(entry);
    if (known) known.node.replaceWith(node);
    else this.place(node, entry.at);
    this.nodes.set(entry.id, { node });
    this.end ||= entry.asked;
    this.newest = entry.who !== "me" && !entry.coming && node;
    // Once, however many are drawn together.
    if (!this.due) queueMicrotask(() => this.tidy());
    this.due = true;
  }

  tidy() {
    this.due = false;
    for (const [id, { node }] of [...this.nodes].slice(0, -MOST_SHOWN)) {
      node.remove();
      this.nodes.delete(id);
    }
    this.onlyLastAsks();
    if (this.end) this.showEnd(this.newest);
  }

  /** The server has said when it was. */
  date({ id, at }) {
    const known = this.nodes.get(id);
    if (known) known.node.at = at;
  }

  place(node, at) {
    node.at = at;
    let last = this.log.lastElementChild;
    while (last && last.at > at) last = last.previousElementSibling;
    if (last) last.after(node);
    else this.log.prepend(node);
  }

  made(entry) {
    const { t } = this;
    const text = entry.text.trim();
    if (!text) return el("div.none", { hidden: true });
    const bubble = el("div.bubble", { lang: writtenIn(text) }, linked(text));
    const from = entry.who === "me" ? t("You:") : entry.who === "agent" ? entry.name : t("Bot:");
    const node = el(`div.entry.${entry.who}`, {}, el(`span.${entry.who === "agent" ? "name" : "unseen"}`, {}, `${from} `), bubble);
    node.at = entry.at;
    if (entry.waiting) node.append(el("span.small.late", {}, t("Not sent yet")));
    if (entry.failed) node.append(el("span.small.bad", { role: "alert" }, `${t("This could not be sent.")} ${entry.failed}`));
    // Read out as a whole, not in pieces.
    if (entry.coming) node.setAttribute("aria-hidden", "true");
    else if (entry.answer) node.append(...this.beside(entry));
    return node;
  }

  beside({ of, answer }) {
    const parts = answer.sources.map((source) => this.source(source));
    if (RATED.includes(answer.action)) parts.push(this.thumbs(of));
    if (answer.action === "ask_slot") parts.push(this.form(answer));
    else if (answer.buttons.length) parts.push(el("div.buttons.last", {}, answer.buttons.map((one) => this.button(one))));
    return parts;
  }

  source({ title, url, quote }) {
    return el("details.source", {}, el("summary", {}, `${this.t("Source:")} ${title}`),
      quote && el("blockquote", { lang: writtenIn(quote) }, quote), url && el("p", {}, safeLink(url, url)));
  }

  button({ title, payload }, kind = "") {
    const press = () => { this.acts.focus(); this.acts.ask(payload, title); };
    return el(`button.chip${kind}`, { type: "button", onclick: press, lang: writtenIn(title) }, title);
  }

  /** A question of a form: its buttons, or a field of its own. */
  form({ text, buttons }) {
    const t = words(writtenIn(text));
    const leave = { title: t("Never mind"), payload: t("Never mind") };
    if (buttons.length) return el("div.buttons.last", {}, buttons.map((one) => this.button(one)), this.button(leave, ".plain"));
    const field = el("input", { type: "text", "aria-label": text, maxlength: 1000, required: true, autocomplete: "off", enterkeyhint: "send" });
    const send = (event) => {
      event.preventDefault();
      if (!field.value.trim()) return;
      this.acts.focus();
      this.acts.ask(field.value.trim());
    };
    return el("form.slot.last", { onsubmit: send }, field, el("button.chip.full", {}, t("Send")), this.button(leave, ".plain"));
  }

  /** Buttons and fields of an answer that is not the last one are gone: they are about the past. */
  onlyLastAsks() {
    const last = [...this.log.querySelectorAll(".entry")].at(-1);
    for (const node of this.log.querySelectorAll(".last")) if (!last.contains(node)) node.remove();
  }

  thumbs(id) {
    const { t, acts } = this;
    const said = el("span.small", { role: "status" });
    const box = el("div.thumbs");
    const buttons = [["up", t("Helpful"), UP], ["down", t("Not helpful"), DOWN]].map(([rating, label, path]) => {
      const choose = async () => {
        mark(rating);
        box.querySelector("form")?.remove();
        if (await this.save(id, rating, undefined, said) && rating === "down") this.askWhy(id, box, said);
      };
      return el("button.thumb", { type: "button", title: label, "aria-label": label, onclick: choose, dataset: { rating } }, icon(path));
    });
    const mark = (rating) => buttons.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.rating === rating)));
    mark(acts.rated(id));
    box.append(...buttons, said);
    return box;
  }

  askWhy(id, box, said) {
    const { t } = this;
    const field = el("textarea", { rows: 2, maxlength: 2000, "aria-label": t("What was wrong with it?"), placeholder: t("What was wrong with it?") });
    const send = async (event) => {
      event.preventDefault();
      if (!field.value.trim() || !(await this.save(id, "down", field.value.trim(), said))) return;
      form.remove();
      this.acts.focus();
    };
    const form = el("form.why", { onsubmit: send }, field, el("button.chip.full", {}, t("Send")));
    box.append(form);
    field.focus();
    this.reveal(form);
  }

  async save(id, rating, comment, said) {
    try {
      await this.acts.rate(id, rating, comment);
      fill(said, this.t("Thank you."));
      return true;
    } catch {
      fill(said, this.t("That could not be saved. Please try again."));
      return false;
    }
  }

  /** The end of the conversation; of an answer taller than the window, its beginning. */
  showEnd(node) {
    const tall = node && node.offsetHeight > this.log.clientHeight;
    this.log.scrollTop = tall ? node.offsetTop - 8 : this.log.scrollHeight;
  }

  reveal(node) {
    const under = node.getBoundingClientRect().bottom - this.log.getBoundingClientRect().bottom;
    if (under > 0) this.log.scrollTop += under + 8;
  }
}
