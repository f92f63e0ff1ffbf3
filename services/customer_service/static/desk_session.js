// Who is logged in here, and what happens when they are not any more: the page stays as it is, with
// everything that was typed, and a dialog asks for the password.
import { api, useCsrf } from "../core/api.js";
import { byId, fill } from "../core/dom.js";
import { t } from "../core/texts.js";

byId("main").dataset.signIn = "own";

/** `me`: name, shown_as, role; null before the log-in. `lost`: the session is over, nobody asks. */
export const session = { me: null, lost: false };
let entered = () => {};

/** As `api`; a session that is over asks for the password and throws all the same. */
export async function call(path, options) {
  try {
    return await api(path, options);
  } catch (error) {
    if (error.status === 401 && session.me) askAgain();
    throw error;
  }
}

/** Begin with the session of the browser's cookie, else with the form. `onEnter` runs once. */
export async function start({ loggedIn, agents, onEnter }) {
  entered = onEnter;
  byId("log-in").addEventListener("submit", logIn);
  byId("again").addEventListener("cancel", (event) => event.preventDefault());
  byId("log-out")?.addEventListener("click", logOut);
  if (loggedIn) return enter(await api("/v1/desk/me"));
  byId(agents ? "door" : "nobody").hidden = false;
  if (agents) byId("name").focus();
}

function enter(me) {
  const first = !session.me;
  session.me = me;
  session.lost = false;
  useCsrf(me.csrf_token);
  byId("door").hidden = true;
  const who = byId("who");
  who.textContent = me.shown_as;
  who.hidden = byId("log-out").hidden = false;
  if (first) entered();
  else dispatchEvent(new Event("loggedin"));
}

async function logIn(event) {
  event.preventDefault();
  const said = byId("log-in-error");
  const button = event.target.querySelector("button");
  button.disabled = true;
  fill(said);
  try {
    const me = await api("/v1/desk/login", { method: "POST", body: { name: byId("name").value, password: byId("password").value } });
    byId("password").value = "";
    byId("again").close();
    enter(me);
  } catch (error) {
    fill(said, error.status ? (error.status === 401 ? t("Name or password are wrong, or the account is shut out.") : error.message) : t("The server cannot be reached; try again in a moment."));
    byId("password").focus();
  } finally {
    button.disabled = false;
  }
}

function askAgain() {
  if (session.lost) return;
  session.lost = true;
  const dialog = byId("again");
  byId("log-in-title").textContent = t("Your session is over");
  byId("log-in-why").textContent = t("Log in again to go on; what you typed is still here.");
  dialog.append(byId("log-in"));
  byId("name").value = session.me.name;
  dialog.showModal();
  byId("password").focus();
}

async function logOut() {
  try { await api("/v1/desk/logout", { method: "POST" }); } catch (error) { if (error.status !== 401) return; }
  location.reload();
}
