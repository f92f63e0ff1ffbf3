// What was said, what is on its way, and who answers? A message is kept in the browser until its
// answer has come, and sent again with the same id until then: it is answered once.
import { Refused } from "./widget_link.js";
import { MOST_SHOWN } from "./widget_view.js";

const LONGEST_WAIT = 15;

const newId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** `view` is told: draw(entry), date(entry), state(connection, handoff, closed), clear(), unread(n). An entry is
 * {id, who: "me" | "bot" | "agent", text, at, …}; `at` is Infinity until the server has said when. */
export class Talk {
  constructor(link, memory, view) {
    Object.assign(this, { link, memory, view });
    this.begin();
    addEventListener("online", () => this.wake());
    addEventListener("visibilitychange", () => document.hidden || this.wake());
    addEventListener("storage", (event) => event.key === memory.name && this.started && this.otherTab());
  }

  begin() {
    clearTimeout(this.timer);
    this.looking = null;
    this.entries = new Map();
    this.cursor = "";
    this.buttons = [];
    this.conversation = this.memory.state.conversation;
    this.handoff = this.memory.state.handoff ?? null;
  }

  /** Show what was said before, send what is left, and follow what comes. */
  async start() {
    if (this.started) return;
    this.started = true;
    if (this.conversation) await this.look();
    for (const message of this.memory.pending) this.mine(message, { waiting: true });
    this.pump();
  }

  ask(text, shown = text) {
    this.closed = false;
    const message = { id: newId(), text, shown };
    this.memory.add(message);
    this.mine(message, { waiting: true, asked: true });
    this.started = true;
    return this.pump();
  }

  /** Forget the conversation here; the next message begins another. */
  restart() {
    this.memory.forget();
    this.begin();
    this.view.clear();
    this.tell("");
  }

  async pump() {
    if (this.pumping) return;
    this.pumping = true;
    let tries = 0;
    for (let next; (next = this.memory.pending[0]);) {
      try {
        await this.deliver(next);
        tries = 0;
      } catch (error) {
        if (error instanceof Refused && !error.again) this.drop(next, error);
        else await this.rest(error, tries++);
      }
    }
    this.pumping = false;
  }

  async deliver(message) {
    const answer = { id: `${message.id}:a`, who: "bot", of: message.id, at: Infinity };
    const { entries } = this;
    this.view.typing(this.handoff !== "taken");
    const told = await this.link.send(message, (text) => entries !== this.entries || entries.get(answer.id)?.answer || this.put({ ...answer, text, coming: true }));
    this.memory.remove(message.id);
    if (entries !== this.entries) return; // the visitor began anew meanwhile
    this.view.typing(false);
    this.tell("");
    this.sameConversation(told.conversation_id);
    this.mine(message, { waiting: false });
    this.put({ ...answer, text: told.text, answer: told, coming: false });
    this.count();
    if (told.action === "handoff" && !this.handedOver) this.stands("waiting");
    if (this.handedOver) this.look();
  }

  drop(message, error) {
    this.memory.remove(message.id);
    this.view.typing(false);
    this.mine(message, { waiting: false, failed: error.message || " " });
  }

  /** Wait until it may work again: some seconds, or until the connection is back. */
  rest(error, tries) {
    this.view.typing(false);
    const refused = [401, 403].includes(error.status);
    this.tell(refused ? "refused" : error instanceof Refused ? "busy" : "away");
    const seconds = refused ? 60 : Math.min(Math.max(error.wait ?? 0, 2 ** tries), LONGEST_WAIT);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.hurry = () => { clearTimeout(timer); resolve(); };
    });
  }

  wake() {
    this.hurry?.();
    if (this.started && this.handedOver) this.look();
  }

  get handedOver() { return this.handoff === "waiting" || this.handoff === "taken"; }

  /** Read what the server has and we have not; while a person answers, again and again. */
  look() {
    clearTimeout(this.timer);
    this.looking ??= this.read().then(() => {
      if (this.connection === "away") this.hurry?.();
      if (this.connection && !this.pumping) this.tell("");
    }, (error) => {
      this.tell(error instanceof Refused ? "busy" : "away");
      return "failed";
    }).then((ended) => {
      this.looking = null;
      const seconds = document.hidden ? 20 : this.view.isOpen() ? 3 : 6;
      if (this.handedOver || ended === "failed") this.timer = setTimeout(() => this.look(), seconds * 1000);
    });
    return this.looking;
  }

  async read() {
    const found = [];
    try {
      for (let more = true; more;) {
        const { entries } = this;
        const page = await this.link.said(this.cursor);
        if (entries !== this.entries) return void (found.length = 0);
        this.sameConversation(this.memory.state.conversation);
        if (!page) return;
        found.push(...this.taken(page));
        this.cursor = page.poll_cursor;
        this.stands(page.handoff);
        more = page.next_cursor !== null;
      }
    } finally {
      found.sort((a, b) => a.at - b.at);
      found.forEach((entry, place) => this.put(entry, found.length - place > MOST_SHOWN));
      this.count();
    }
  }

  /** The entries of a page. */
  taken(page) {
    const found = page.messages.map((said) => ({ id: said.message_id, who: "agent", name: said.name, text: said.text, at: Date.parse(said.created_at) }));
    for (const { message_id: id, message, reply, created_at: created } of page.turns) {
      const at = Date.parse(created);
      const pressed = this.buttons.find((button) => button.payload === message);
      this.buttons = reply.buttons;
      this.memory.remove(id);
      found.push({ id, who: "me", text: pressed?.title ?? message, at, waiting: false });
      found.push({ id: `${id}:a`, who: "bot", of: id, text: reply.text, answer: reply, at, coming: false });
    }
    return found;
  }

  mine({ id, shown }, how) {
    this.put({ id, who: "me", text: shown, at: Infinity, ...how });
  }

  /** Show it, or what is new of it. What is known already is not drawn again. */
  put(entry, unseen = false) {
    const known = this.entries.get(entry.id);
    const now = { ...known, ...entry, text: known?.who === "me" ? known.text : entry.text };
    this.entries.set(entry.id, now);
    const same = known && ["text", "waiting", "coming", "failed"].every((name) => known[name] === now[name]);
    if (same) this.view.date(now);
    else if (unseen) return;
    else this.view.draw(now);
  }

  /** What came while the visitor did not look. */
  count() {
    const come = [...this.entries.values()].filter(({ who, text, coming }) => who !== "me" && text && !coming).length;
    const seen = this.memory.state.seen ?? 0;
    if (!this.view.isOpen()) this.view.unread(Math.max(0, come - seen));
    else {
      if (come !== seen) this.memory.keep({ seen: come });
      this.view.unread(0);
    }
  }

  stands(handoff) {
    if (handoff !== this.handoff) {
      this.closed = this.handedOver && handoff === "resolved";
      this.memory.keep({ handoff });
    }
    this.handoff = handoff;
    this.tell(this.connection ?? "");
  }

  tell(connection) {
    this.connection = connection;
    this.view.state(connection, this.handoff, this.closed);
  }

  /** A session that was over, or another tab, began a new conversation: the old one is not ours. */
  sameConversation(conversation) {
    if (this.conversation && conversation !== this.conversation) {
      const pending = [...this.entries.values()].filter((entry) => entry.waiting);
      this.begin();
      this.view.clear();
      pending.forEach((entry) => this.put(entry));
    }
    this.conversation = conversation;
  }

  otherTab() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => {
      if (this.memory.state.conversation) this.look();
      else if (this.conversation) { this.begin(); this.view.clear(); }
    }, 400);
  }
}
