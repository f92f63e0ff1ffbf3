// One alert: what happened, why, and what people say of it. Brought up to date by the stream.
import { api, Problem, refreshing } from "../core/api.js";
import { byId, el, empty, fill, toast } from "../core/dom.js";
import { moment, t } from "../core/texts.js";
import { reasons } from "./alert_reasons.js";
import { keyed } from "./keyed.js";
import { live } from "./live.js";
import { ago, alertBadges, evidenceText, iAm, seriesName, ticking, whoAmI } from "./words.js";

const id = Number(byId("alert").dataset.id);
let alert = null, print = "", serverAhead = 0;

byId("name").value = whoAmI();

async function load() {
  let found;
  try {
    found = await api(`/v1/alerts/${id}`);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) missing();
    throw error;
  }
  const { silences } = await api("/v1/silences");
  const mine = silences.filter((one) => found.silenced_by.includes(one.id));
  const now = JSON.stringify([found, mine]);
  if (now === print) return;
  const first = alert === null;
  [alert, print] = [found, now];
  byId("body").hidden = false;
  head();
  life();
  said(mine);
  if (first) await reasons(alert);
}

function missing() {
  byId("summary").textContent = "";
  byId("missing").hidden = false;
  fill(byId("missing"), empty(t("There is no alert {n}", { n: id }), t("It may belong to a database of before. See the list on the dashboard.")));
}

function head() {
  byId("title").textContent = seriesName(alert);
  document.title = `${seriesName(alert)} · Trefoil`;
  fill(byId("badges"), alertBadges(alert).map((badge) => badge && [badge, " "]),
    alert.silenced_by.length > 0 && el("span.badge.warn", {}, t("silenced")));
  byId("summary").textContent = alert.is_test ? `${t("A drill: the stories are made up.")} ${evidenceText(alert.evidence)}` : evidenceText(alert.evidence);
}

function life() {
  const steps = [
    alert.onset_at && ["onset", t("It began to gather"), alert.onset_at],
    ["raised", t("Alert"), alert.started_at, "bad"],
    new Date(alert.raised_at) - new Date(alert.started_at) > 3_600_000 && ["found", t("Found only then: its stories came in late"), alert.raised_at],
    alert.acknowledged_at && ["seen", t("Seen by {name}", { name: alert.acknowledged_by }), alert.acknowledged_at],
    alert.marked_at && ["marked", alert.false_alarm ? t("Marked as a false alarm") : t("Marked as a true alarm"), alert.marked_at],
    alert.resolved_at ? ["over", t("Over"), alert.resolved_at] : ["open", t("Still open"), null, "open"],
  ].filter(Boolean);
  steps.sort((a, b) => (a[2] == null) - (b[2] == null) || new Date(a[2]) - new Date(b[2]));
  keyed(byId("life"), steps, ([key]) => key, ([, text, when, kind]) =>
    el(`li${kind ? `.${kind}` : ""}`, {}, el("strong", {}, text), when && [el("br"), el("small", {}, moment(when), " · ", ago(when))]));
}

function said(silences) {
  byId("seen").textContent = alert.acknowledged_by ? t("Seen by {name} on {when}.", { name: alert.acknowledged_by, when: moment(alert.acknowledged_at) }) : t("Nobody has said so yet.");
  byId("acknowledge").disabled = Boolean(alert.acknowledged_by);
  for (const button of document.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", String(String(alert.false_alarm) === button.dataset.mark));
  }
  byId("silence-what").textContent = t("Silenced alerts on {name} are found and shown, but nobody is told of them.", { name: seriesName(alert) });
  keyed(byId("silences"), silences, (one) => one.id, (one) => el("li", {},
    el("div.between", {}, el("span", {}, t("Silent until {when}", { when: moment(one.ends_at) })),
      el("button.small.quiet", { type: "button", dataset: { focus: "end" }, onclick: () => act(() => api(`/v1/silences/${one.id}`, { method: "DELETE" }), t("People are told again.")) }, t("End it")))));
}

function name() {
  const given = byId("name").value.trim();
  if (given) { iAm(given); return given; }
  byId("say-error").textContent = t("Say first who you are.");
  byId("name").focus();
  return null;
}

async function act(call, done) {
  byId("say-error").textContent = "";
  try {
    await call();
    toast(done);
    await load();
  } catch (error) {
    byId("say-error").textContent = error instanceof Problem ? error.message : t("The server cannot be reached; try again.");
  }
}

byId("acknowledge").addEventListener("click", async () => {
  const by = name();
  if (!by) return;
  await act(() => api(`/v1/alerts/${id}/acknowledge`, { method: "POST", body: { by } }), t("Kept: somebody has seen it."));
  document.querySelector("[data-mark]").focus();
});

for (const button of document.querySelectorAll("[data-mark]")) {
  button.addEventListener("click", () => {
    const wanted = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.mark === "true";
    act(() => api(`/v1/alerts/${id}/mark`, { method: "POST", body: { false_alarm: wanted } }), wanted === null ? t("The mark is taken back.") : t("Kept: it is learned from."));
  });
}

byId("silence").addEventListener("submit", (event) => {
  event.preventDefault();
  const by = name();
  if (!by) return;
  // From a little before now, by the server's clock.
  const now = Date.now() + serverAhead;
  const matcher = alert.company ? { name: "company", value: alert.company } : { name: "topic", value: alert.topic };
  const body = {
    matchers: [matcher], created_by: by, comment: byId("comment").value,
    starts_at: new Date(now - 60_000).toISOString(), ends_at: new Date(now + byId("for-hours").value * 3_600_000).toISOString(),
  };
  act(() => api("/v1/silences", { method: "POST", body }), t("Silent: nobody is told of it."));
});

api("/v1/overview").then((seen) => { serverAhead = new Date(seen.now) - Date.now(); }).catch(() => {});
const look = refreshing(load, 60);
live({ reset: look, alert: ({ alert: other }) => other.id === id && look() }, "?kind=alert");
ticking();
