// Who waits: the list at the left. Rows are kept and changed in place, so that the focus stays.
import { byId, el } from "../core/dom.js";
import { duration, t } from "../core/texts.js";

const REASONS = { asked: "asked for a person", unsure: "the bot was not sure", failed: "a look-up failed" };
const rows = new Map();
let said = null;

export const reason = (name) => t(REASONS[name] ?? name);

/** Who has it, in words; "" where it waits. */
export const holder = (handoff, me) => (handoff.state !== "taken" ? "" : handoff.agent === me ? t("You have it") : t("{name} has it", { name: handoff.agent }));

/** Show the page of the queue. `open` is the id of the conversation that is looked at. */
export function showQueue({ queue, next_cursor: more }, { me, open, choose }) {
  const list = byId("queue");
  const there = new Set(queue.map((one) => one.conversation_id));
  for (const [id, row] of rows) if (!there.has(id)) { row.remove(); rows.delete(id); }
  queue.forEach((one, place) => {
    let row = rows.get(one.conversation_id);
    if (!row) {
      row = newRow(one.conversation_id, choose);
      rows.set(one.conversation_id, row);
    }
    change(row, one, me, open);
    // Moved only where it is not in its place: a row that is moved loses the focus.
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  byId("queue-empty").hidden = queue.length > 0;
  tell(queue, more);
}

function newRow(id, choose) {
  const part = (name) => el(`span.${name}`, { "data-part": name });
  const row = el("li", {}, el("button.queue-row", { type: "button", onclick: () => choose(id) },
    part("queue-text"), part("queue-wait"), el("span.queue-meta", {}, el("span.badge", { "data-part": "badge" }), part("queue-more"))));
  row.classList.add("arrived");
  return row;
}

function change(row, one, me, open) {
  const set = (name, text) => {
    const node = row.querySelector(`[data-part="${name}"]`);
    if (node.textContent !== text) node.textContent = text;
    return node;
  };
  const waits = one.state === "waiting";
  set("queue-text", one.last_message);
  set("queue-wait", waits ? duration(one.waiting_seconds) : "");
  const badge = set("badge", waits ? reason(one.reason) : holder(one, me));
  badge.className = `badge ${waits ? "warn" : one.agent === me ? "good" : ""}`;
  set("queue-more", [one.channel, one.language].filter(Boolean).join(" · "));
  const button = row.firstElementChild;
  if (one.conversation_id === open) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  row.classList.toggle("late", waits && one.waiting_seconds > 600);
}

function tell(queue, more) {
  const waiting = queue.filter((one) => one.state === "waiting").length;
  byId("queue-more").hidden = !more;
  const text = waiting === 0 ? t("nobody waits") : waiting === 1 ? t("one waits") : t(more ? "more than {n} wait" : "{n} wait", { n: waiting });
  if (text !== said) byId("queue-said").textContent = said = text;
  document.title = `${waiting ? `(${waiting}${more ? "+" : ""}) ` : ""}${t("Desk")} · Trefoil`;
}
