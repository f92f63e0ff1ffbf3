// The support dashboard: what is counted every ten seconds, the rest when it may have changed.
import { refreshing } from "../core/api.js";
import { byId, fill } from "../core/dom.js";
import { t } from "../core/texts.js";
import { showFigures } from "./dashboard_figures.js";
import { showGaps } from "./dashboard_gaps.js";
import { showModels, wireModels } from "./dashboard_models.js";
import { showOpinions, showPromise, wirePromise } from "./dashboard_promise.js";
import { call, session, start } from "./desk_session.js";

const board = byId("board");
let days = 7;

async function readFigures() {
  if (session.lost) return;
  const asked = days;
  const found = await call(`/v1/admin/figures?days=${asked}`);
  if (asked !== days) return;
  showFigures(found);
  showOpinions(found.opinions);
}

async function readModels() {
  if (session.lost) return;
  const [models, candidates] = await Promise.all([call("/v1/admin/models"), call("/v1/admin/candidates?limit=20")]);
  showModels(models, candidates);
  if (models.models.length) showPromise(await call("/v1/admin/promise"));
  else fill(byId("promise-said"), t("No model is live"));
}

async function readGaps() {
  if (session.lost) return;
  const asked = days;
  const found = await call(`/v1/admin/gaps?days=${Math.max(asked, 7)}`);
  if (asked === days) showGaps(found, readGaps);
}

const told = (node) => (error) => { if (error.status && error.status !== 401) fill(byId(node), error.message); };

function open() {
  board.hidden = false;
  const figures = refreshing(readFigures, 10, told("lead"));
  const models = refreshing(readModels, 30, told("promise-said"));
  const gaps = refreshing(readGaps, 120, told("gaps-note"));
  wirePromise(models);
  wireModels(models);
  addEventListener("loggedin", () => { figures(); models(); gaps(); });
  byId("time").addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (!chosen) return;
    days = Number(chosen.dataset.days);
    for (const button of byId("time").children) button.setAttribute("aria-pressed", String(button === chosen));
    byId("lead").textContent = t("Looking …");
    figures();
    gaps();
  });
}

const may = board.dataset.may === "true", loggedIn = board.dataset.loggedIn === "true";
if (may && !loggedIn) open();
else start({
  loggedIn, agents: board.dataset.agents === "true",
  onEnter: () => { if (session.me.role === "admin") open(); else byId("not-you").hidden = false; },
});
