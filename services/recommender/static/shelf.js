// Shelves for a shop's own pages: docs/STOREFRONT.md. One file, nothing else is loaded.
//   <script async src="https://HERE/shelf.js" data-key="tfp_…"></script>
//   <div data-trefoil-shelf="home" data-n="6" data-title="For you" data-link="/p/{id}"></div>
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || window.trefoil) return;
  const base = new URL(script.src).origin, key = script.dataset.key || "";
  const SESSION = "trefoil-session", QUEUE = "trefoil-queue";
  const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

  // --- what may be kept and told ----------------------------------------------------------------
  // Do Not Track and Global Privacy Control stand above all. Then what the page says in
  // window.trefoilConsent; where it says nothing, data-consent="required" waits for it.
  const unwatched = () => navigator.doNotTrack === "1" || navigator.globalPrivacyControl === true;
  const allowed = () => !unwatched() && (window.trefoilConsent ?? script.dataset.consent !== "required") === true;
  const read = (name) => { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } };
  const keep = (name, value) => {
    try {
      if (value && allowed()) localStorage.setItem(name, JSON.stringify(value));
      else localStorage.removeItem(name);
    } catch { /* no storage: it lasts as long as the page */ }
  };

  // --- the server -------------------------------------------------------------------------------
  let session = null, opening = null;
  async function call(path, body, bearer, more) {
    const headers = { Authorization: `Bearer ${bearer}` };
    if (body) headers["Content-Type"] = "application/json";
    const answer = await fetch(base + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), credentials: "omit", ...more });
    if (!answer.ok) throw Object.assign(new Error(`trefoil: ${answer.status}`), { status: answer.status });
    return answer.json();
  }
  async function open() {
    const kept = allowed() ? read(SESSION) : null;
    const left = kept && kept.key === key ? Date.parse(kept.expires_at) - Date.now() : 0;
    if (left > 864e5) return kept;
    // A day or less is left: longer, please. One that is over or not ours gives a new one.
    const longer = left > 0 && await call("/v1/sessions", { token: kept.token }, key).catch((error) => { if (!error.status) throw error; });
    const made = { ...(longer || await call("/v1/sessions", {}, key)), key };
    keep(SESSION, made);
    return made;
  }
  async function ready() {
    if (session && Date.parse(session.expires_at) > Date.now()) return session;
    opening ??= open().finally(() => { opening = null; });
    session = await opening;
    return session;
  }
  async function ask(path, body) {
    for (let again = true; ; again = false) {
      const { token, session_id } = await ready();
      try { return await call(path, body && { ...body, session_id }, token); } catch (error) {
        if (error.status !== 401 || !again) throw error;
        session = null;
        keep(SESSION, null);
      }
    }
  }

  // --- events -----------------------------------------------------------------------------------
  // They wait here until the server has them, over pages too. Each has an id and counts once.
  let queue = (allowed() && read(QUEUE)) || [], timer = 0, tries = 0, sending = false;
  function tell(event, soon) {
    if (!allowed()) return;
    queue = [...queue, { timestamp: new Date().toISOString(), ...event }].slice(-300);
    keep(QUEUE, queue);
    later(soon ? 0 : 1);
  }
  function later(seconds) {
    clearTimeout(timer);
    timer = setTimeout(send, seconds * 1000);
  }
  async function send() {
    if (sending || !queue.length || !allowed()) return;
    sending = true;
    const batch = queue.slice(0, 100);
    let again = 0;
    try {
      const { token, session_id } = await ready();
      await call("/v1/events", batch.map((event) => ({ ...event, session_id })), token, { keepalive: true });
      tries = 0;
    } catch (error) {
      if (error.status === 401) { session = null; keep(SESSION, null); }
      // Refused for good is dropped; all else is tried again, ever more slowly.
      if (![400, 403, 413, 422].includes(error.status)) again = Math.min(60, 2 ** tries++);
    }
    sending = false;
    if (!allowed()) return;
    if (!again) {
      queue = queue.filter((event) => !batch.includes(event));
      keep(QUEUE, queue.length && queue);
    }
    if (queue.length) later(again);
  }
  // A page that goes has no time for a question first: a beacon, with the token in it. What it takes
  // along stays in the queue, since nobody tells whether it arrived.
  function leave() {
    if (!queue.length || !session || !allowed()) return;
    const events = queue.slice(0, 100).map((event) => ({ ...event, session_id: session.session_id }));
    navigator.sendBeacon(`${base}/v1/events/beacon`, new Blob([JSON.stringify({ token: session.token, events })], { type: "text/plain" }));
  }
  addEventListener("pagehide", leave);
  addEventListener("visibilitychange", () => (document.hidden ? leave() : queue.length && later(0)));
  addEventListener("online", () => later(0));

  // --- one shelf --------------------------------------------------------------------------------
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`:host{display:block;font:inherit;color:var(--trefoil-ink,inherit)}:host([hidden]){display:none}
h2{font-size:var(--trefoil-title-size,1.2em);margin:0 0 .6em}
ul{list-style:none;margin:0;padding:0;display:grid;gap:var(--trefoil-gap,1rem);grid-template-columns:repeat(auto-fill,minmax(min(46%,var(--trefoil-width,11rem)),1fr))}
li{min-width:0;background:var(--trefoil-card,transparent);border:1px solid var(--trefoil-line,#8884);border-radius:var(--trefoil-radius,8px);padding:.7em;overflow-wrap:anywhere}
a{color:inherit;text-decoration:none;display:block}a:hover .n{text-decoration:underline}a:focus-visible{outline:3px solid var(--trefoil-accent,#0b5cad);outline-offset:3px}
img{display:block;width:100%;aspect-ratio:4/3;object-fit:cover;border-radius:inherit;margin-bottom:.5em}
.n{font-weight:600}.p{margin-top:.2em}.w{font-size:.85em;opacity:.8;margin-top:.2em}`);
  const el = (tag, part, text) => {
    const node = document.createElement(tag);
    if (part) { node.setAttribute("part", part); node.className = part[0]; }
    if (text) node.textContent = text;
    return node;
  };
  const web = (address) => {
    try { const url = new URL(address, location.href); return /^https?:$/.test(url.protocol) ? url.href : ""; } catch { return ""; }
  };
  const money = ({ price, currency }) => {
    if (price == null) return "";
    const lang = document.documentElement.lang || undefined;
    try { return new Intl.NumberFormat(lang, { style: "currency", currency }).format(price); } catch { return `${price} ${currency}`; }
  };
  async function answer({ trefoilShelf: scenario, kind, item, n: many }) {
    const n = Math.min(Number(many) || 6, 50), query = `?n=${n}&scenario=${encodeURIComponent(scenario)}`;
    const of = { similar: "similar", together: "bought-together" }[kind];
    if (of) return ask(`/v1/${of}/${encodeURIComponent(item)}${query}`);
    if (kind === "trending" || !allowed()) {
      const found = await ask(`/v1/trending${query}`);
      if (found.items.length) return found;
    }
    return ask("/v1/recommendations", { n, scenario });
  }
  const seen = new Set(), waiting = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, intersectionRatio } of entries) {
      clearTimeout(waiting.get(target));
      if (intersectionRatio >= 0.5) waiting.set(target, setTimeout(impression, 1000, target));
    }
  }, { threshold: 0.5 });
  function impression(node) {
    if (!node.isConnected) return;
    if (document.hidden) { waiting.set(node, setTimeout(impression, 1000, node)); return; }
    watcher.unobserve(node);
    const event = node.trefoil("impression");
    if (seen.has(event.event_id)) return;
    seen.add(event.event_id);
    tell(event);
  }
  function place(card, one, told, { link, why, trefoilShelf: scenario }) {
    const node = el("li", "item"), href = web(link ? link.replaceAll("{id}", encodeURIComponent(card.item_id)) : card.link);
    const body = href && (link || card.link) ? el("a", "link") : el("div");
    if (body.tagName === "A") body.href = href;
    const picture = card.image && web(card.image);
    if (picture) body.append(Object.assign(el("img", "image"), { src: picture, alt: "", loading: "lazy" }));
    body.append(el("div", "name", card.title), el("div", "price", money(card)));
    const reason = why !== undefined && (one.reasons?.find((told) => told.title) || one.reasons?.[0]);
    if (reason) body.append(el("div", "why", reason.text));
    node.append(body);
    node.trefoil = (event) => ({
      event, item_id: card.item_id, scenario, recommendation_id: told.recommendation_id, position: one.rank,
      event_id: `${event}-${told.recommendation_id}-${one.rank}`,
    });
    const click = ({ button }) => { if (button < 2) tell(node.trefoil("click"), true); };
    for (const name of ["click", "auxclick"]) body.addEventListener(name, click);
    return node;
  }
  const turns = new WeakMap();
  async function fill(host) {
    const turn = (turns.get(host) || 0) + 1, mine = () => turns.get(host) === turn && host.isConnected;
    turns.set(host, turn);
    for (let attempt = 0; mine(); attempt++) {
      try {
        const told = await answer(host.dataset);
        const ids = told.items.map((one) => `item_id=${encodeURIComponent(one.item_id)}`).join("&");
        const cards = new Map((ids ? (await ask(`/v1/cards?${ids}`)).items : []).map((card) => [card.item_id, card]));
        if (!mine()) return;
        const root = host.shadowRoot || host.attachShadow({ mode: "open" });
        root.adoptedStyleSheets = [sheet];
        const list = el("ul", "list"), { title } = host.dataset, box = el("section");
        box.setAttribute("aria-label", title || host.dataset.trefoilShelf);
        for (const one of told.items) if (cards.has(one.item_id)) list.append(place(cards.get(one.item_id), one, told, host.dataset));
        if (title) box.append(el("h2", "title", title));
        box.append(list);
        root.replaceChildren(box);
        host.hidden = !list.children.length;
        if (allowed()) for (const node of list.children) watcher.observe(node);
        return;
      } catch (error) {
        if (attempt > 5 || (error.status && ![401, 429, 503].includes(error.status))) { if (error.status) console.warn(`${error.message}; see docs/STOREFRONT.md`); return; }
        await sleep(2 ** attempt);
      }
    }
  }
  const refresh = () => document.querySelectorAll("[data-trefoil-shelf]").forEach((host) => fill(host));

  // The page may tell what else happened, and that the visitor decided about being watched.
  window.trefoil = {
    refresh,
    track: (event, item_id, more = {}) => tell({ ...more, event, item_id, event_id: more.event_id || crypto.randomUUID?.() || `${event}-${Date.now()}-${Math.random()}` }, true),
  };
  addEventListener("trefoilconsent", () => {
    if (!allowed()) { queue = []; session = null; keep(QUEUE, null); keep(SESSION, null); }
    else if (session) keep(SESSION, session);
    refresh();
  });
  addEventListener("pageshow", (event) => event.persisted && refresh());
  if (unwatched()) { keep(QUEUE, null); keep(SESSION, null); }
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", refresh);
  else refresh();
  if (queue.length) later(1);
})();
