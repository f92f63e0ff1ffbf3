// Calls to our own server: errors that tell the mend, a banner while it is away, a sign-in where it
// wants a key.
import { byId, el, fill } from "./dom.js";
import { t } from "./texts.js";

/** A refusal of the server: `status`, and its message with the mend. */
export class Problem extends Error {
  constructor(status, body) {
    super([body.detail || body.title || t("The server answered {status}.", { status }), body.mend].filter(Boolean).join(" "));
    this.status = status;
    this.body = body;
  }
}

let csrf = "";
/** What X-CSRF-Token carries from now on, where people log in by name. */
export const useCsrf = (token) => { csrf = token; };

/** JSON of our server. Throws Problem for a refusal, TypeError where it cannot be reached. */
export async function api(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (csrf && method !== "GET") sent["X-CSRF-Token"] = csrf;
  let response;
  try {
    response = await fetch(path, { method, headers: sent, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name !== "AbortError") away(true);
    throw error;
  }
  away(false);
  const text = await response.text();
  let answer = {};
  try { answer = text ? JSON.parse(text) : {}; } catch { answer = { detail: text.slice(0, 200) }; }
  if (response.status === 401 && byId("main")?.dataset.signIn !== "own") askForKey();
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

function away(isAway) {
  const banner = byId("offline");
  if (!banner || banner.hidden === !isAway) return;
  banner.hidden = !isAway;
  banner.textContent = isAway ? t("The server cannot be reached. What you see is as of then; it is tried again by itself.") : "";
  if (!isAway) dispatchEvent(new Event("serverback"));
}

/** Run `load` now, every `seconds` while the page is seen, and as soon as the server is back. A
 * failure keeps what is shown; `failed` may tell it. Gives a function that runs it at once. */
export function refreshing(load, seconds, failed = () => {}) {
  let timer, running = false, again = false;
  const once = async () => {
    clearTimeout(timer);
    // What is on its way may be older than what was just done: it is run once more.
    if (running) { again = true; return; }
    running = true;
    try {
      do {
        again = false;
        try { await load(); } catch (error) { failed(error); }
      } while (again);
    } finally {
      running = false;
      timer = setTimeout(() => (document.hidden ? null : once()), seconds * 1000);
    }
  };
  addEventListener("visibilitychange", () => document.hidden || once());
  addEventListener("serverback", once);
  once();
  return once;
}

function askForKey() {
  if (byId("sign-in")) return;
  const field = el("input", { id: "key", type: "password", autocomplete: "off", required: true });
  const said = el("p.error", { role: "alert" });
  const form = el("form.card", { id: "sign-in" },
    el("h1", {}, t("This server wants a key")),
    el("p", {}, t("Paste an API key. One is made on the server with `keys create NAME`.")),
    el("label", { for: "key" }, t("API key")), field, said, el("button.primary", {}, t("Sign in")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch("/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key: field.value.trim() }) }).catch(() => null);
    if (answer?.ok) location.reload();
    else fill(said, answer?.status === 401 ? t("This key is not valid here.") : t("That did not work; try again in a moment."));
  });
  fill(byId("main"), form);
  field.focus();
}
