// The state of the three services, looked at every three seconds.
import { api, refreshing } from "../core/api.js";
import { t } from "../core/texts.js";

const WORDS = {
  ready: ["running", "good"], starting: ["starting", "warn"], away: ["not running", "negative"], unknown: ["unknown", ""],
};

function show(name, word, checks) {
  const [text, kind] = WORDS[word];
  const badge = document.querySelector(`[data-state="${name}"]`);
  badge.textContent = t(text);
  badge.className = `badge ${kind}`;
  const failing = checks.filter((check) => !check.ok).map((check) => `${check.name}: ${check.detail}`);
  document.querySelector(`[data-checks="${name}"]`).textContent = failing.join("; ");
}

async function look() {
  const state = await api("/state");
  for (const [name, { up, ready, checks }] of Object.entries(state)) {
    show(name, ready ? "ready" : up ? "starting" : "away", checks);
  }
}

refreshing(look, 3, () => {
  for (const badge of document.querySelectorAll("[data-state]")) show(badge.dataset.state, "unknown", []);
});
