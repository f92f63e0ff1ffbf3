// Who is shopping, and what they did: kept in this browser, sent to the server, and sent again where
// it was away.
import { api } from "../core/api.js";
import { t } from "../core/texts.js";

const KEY = "trefoil-shopper", OUTBOX = "trefoil-outbox", TRAIL = "trefoil-trail";

const read = (key, otherwise, store = localStorage) => {
  try { return JSON.parse(store.getItem(key)) ?? otherwise; } catch { return otherwise; }
};
const write = (key, value, store = localStorage) => {
  try { store.setItem(key, JSON.stringify(value)); } catch { /* private mode: it lasts as long as the page */ }
};
/** 16 letters that nobody else has; randomUUID needs a secure context. */
export const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");

let shopper = read(KEY, null);
if (!shopper?.id) become({ kind: "visitor", id: `visit-${fresh()}` });

/** {kind: "user" or "visitor", id, name, label, about} */
export const who = () => shopper;
/** The same as a request names them. */
export const named = () => (shopper.kind === "user" ? { user_id: shopper.id } : { session_id: shopper.id });
/** What a visitor is called. */
export const called = () => (shopper.kind === "user" ? shopper.name : t("a new visitor"));

/** From now on it is somebody else. */
export function become(somebody) {
  shopper = somebody;
  write(KEY, somebody);
  dispatchEvent(new CustomEvent("shopper", { detail: somebody }));
}
/** Somebody of whom nothing is known. */
export const becomeVisitor = () => become({ kind: "visitor", id: `visit-${fresh()}` });

addEventListener("storage", (event) => {
  if (event.key === KEY && event.newValue) {
    shopper = read(KEY, shopper);
    dispatchEvent(new CustomEvent("shopper", { detail: shopper }));
  }
});

/** The shoppers that the server knows to try. */
export const sampleShoppers = async () => (await api("/v1/sample-shoppers")).shoppers;

/** Tell what the shopper did with an item. Resolves when the server has it, or it waits to be sent
 * again: true and false. `from`: {recommendation_id, position, scenario} of where it was seen. */
export function tell(kind, item, { from = {}, key = "", ...more } = {}) {
  const event = {
    ...named(), item_id: item.item_id, event: kind, event_id: `web-${key || fresh()}`,
    ...(from.recommendation_id ? { recommendation_id: from.recommendation_id, position: from.position } : {}),
    ...(from.scenario ? { scenario: from.scenario } : {}), ...more,
  };
  write(OUTBOX, [...read(OUTBOX, []), event].slice(-500));
  remember(kind, item);
  return flush();
}

let flushing = null;
/** Send what waits. Each has an id, so that one that is sent twice counts once. */
export function flush() {
  flushing = (flushing ?? Promise.resolve()).then(sendAll);
  return flushing;
}

async function sendAll() {
  const waiting = read(OUTBOX, []).slice(0, 100);
  if (!waiting.length) return true;
  try {
    await api("/v1/events", { method: "POST", body: waiting });
  } catch (error) {
    // Refused for good is dropped: it would be in the way of all that follows.
    if (!(error.status >= 400 && error.status < 500 && ![401, 408, 429].includes(error.status))) return false;
  }
  const sent = new Set(waiting.map((event) => event.event_id));
  write(OUTBOX, read(OUTBOX, []).filter((event) => !sent.has(event.event_id)));
  return read(OUTBOX, []).length ? sendAll() : true;
}
addEventListener("serverback", flush);

const STEPS = {
  click: "you looked at {title}", view: "you looked at {title}", add_to_cart: "you put {title} into your cart",
  remove_from_cart: "you took {title} out of your cart", wishlist: "you put {title} on your wish list", purchase: "you bought {title}",
};

function remember(kind, { title }) {
  if (!STEPS[kind]) return;
  const steps = read(TRAIL, [], sessionStorage).filter((step) => step.of === shopper.id);
  write(TRAIL, [...steps, { of: shopper.id, kind, title, at: Date.now() }].slice(-5), sessionStorage);
}
/** The last steps of this shopper in this window, as words, the newest last. */
export const steps = () => read(TRAIL, [], sessionStorage).filter((s) => s.of === shopper.id).map((s) => t(STEPS[s.kind], { title: s.title }));

/** What was recommended to this shopper when they last saw it: {ids, stepped}, where `stepped` says
 * whether they did something since. From now on it is `ids`. */
export function rememberShelf(ids) {
  const key = `trefoil-shelf:${shopper.id}`, before = read(key, null, sessionStorage);
  const at = read(TRAIL, [], sessionStorage).filter((step) => step.of === shopper.id).at(-1)?.at ?? 0;
  write(key, { ids, at }, sessionStorage);
  return before && { ids: before.ids, stepped: before.at !== at };
}
