// What does the widget remember in the visitor's browser? The session of this conversation, and
// messages that have not been answered yet. All tabs of a website share it.

export class Memory {
  constructor(name) {
    this.name = `trefoil-chat|${name}`;
    this.held = {};
  }

  /** {token, conversation, got, life, handoff, seen, open, rated, sent}; read anew, since another
   * tab may have written it. Where nothing can be kept it lasts as long as the page. */
  get state() {
    try { return (!this.lost && JSON.parse(localStorage.getItem(this.name))) || this.held; } catch { return this.held; }
  }

  keep(changes) {
    this.held = { ...this.state, ...changes };
    try { localStorage.setItem(this.name, JSON.stringify(this.held)); } catch { this.lost = true; }
  }

  /** Messages on their way, oldest first: [{id, text, shown}]. */
  get pending() { return this.state.sent ?? []; }

  add(message) { this.keep({ sent: [...this.pending, message] }); }

  remove(id) {
    if (this.pending.length) this.keep({ sent: this.pending.filter((message) => message.id !== id) });
  }

  /** What begins a new conversation. */
  forget() {
    this.keep({ token: undefined, conversation: undefined, handoff: undefined, seen: 0, rated: {}, sent: [] });
  }
}
