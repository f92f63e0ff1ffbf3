// The list of alerts: latest first, brought up to date by the stream.
import { api } from "../core/api.js";
import { byId, el, empty, fill } from "../core/dom.js";
import { t } from "../core/texts.js";
import { keyed } from "./keyed.js";
import { known } from "./standing.js";
import { ago, alertBadges, evidenceText, seriesName } from "./words.js";

const PAGE = 12;
const held = new Map();
let older = null, paged = false, loaded = false;

export async function loadAlerts() {
  const page = await api(`/v1/alerts?limit=${PAGE}`);
  for (const alert of page.alerts) held.set(alert.id, alert);
  if (!paged) older = page.next_cursor;
  loaded = true;
  draw();
}

/** One that the stream told of: new, or changed. Gives what was known of it before. */
export function alertArrived(alert) {
  const before = held.get(alert.id);
  held.set(alert.id, alert);
  draw();
  return before;
}

byId("older-alerts").addEventListener("click", async () => {
  const page = await api(`/v1/alerts?limit=${PAGE}&cursor=${encodeURIComponent(older)}`).catch(() => null);
  if (!page) return;
  for (const alert of page.alerts) held.set(alert.id, alert);
  [older, paged] = [page.next_cursor, true];
  draw();
});

addEventListener("overview", () => loaded && draw());

function draw() {
  const alerts = [...held.values()].sort((a, b) => (b.state === "firing") - (a.state === "firing") || new Date(b.started_at) - new Date(a.started_at) || b.id - a.id);
  keyed(byId("alerts"), alerts, (alert) => alert.id, row);
  byId("older-alerts").hidden = !older;
  byId("alerts-empty").hidden = alerts.length > 0;
  if (!alerts.length) {
    const hint = known.state === "watching" ? t("When a topic turns bad, it appears here by itself. Try a drill on the page Backtest.")
      : t("Nothing is watched yet, so none can come.");
    fill(byId("alerts-empty"), empty(t("No alert so far"), hint));
  }
}

function row(alert) {
  return el("li.alert-row.arrived", {},
    el("div", {}, el("a.strong", { href: `/alerts/${alert.id}`, dataset: { focus: "open" } }, seriesName(alert)), " ", alertBadges(alert).map((badge) => badge && [badge, " "])),
    el("small", {}, evidenceText(alert.evidence)), el("br"),
    el("small", {}, ago(alert.started_at)));
}
