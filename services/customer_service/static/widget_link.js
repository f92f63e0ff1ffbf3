// How does the widget speak to its server? With the token of a session, which the publishable key of
// the page opens; never with cookies, so somebody who is logged in at the desk is a customer here.

/** The server's word why not. `again`: whether the same may work later. */
export class Refused extends Error {
  constructor(status, said, wait) {
    super(said);
    this.status = status;
    this.wait = wait;
    this.again = status >= 500 || [401, 403, 408, 425, 429].includes(status);
  }
}

async function refusal(response) {
  const text = await response.text().catch(() => "");
  let said = "";
  try { said = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text).detail; } catch { /* no JSON */ }
  return new Refused(response.status, String(said ?? "").slice(0, 300), Number(response.headers.get("Retry-After")) || 0);
}

/** The server-sent events of an answer, as they come. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const one of whole) {
      yield [/^event: (.*)$/m.exec(one)?.[1], JSON.parse(/^data: (.*)$/m.exec(one)?.[1] ?? "{}")];
    }
  }
}

const HALF_AN_HOUR = 1_800_000;

export class Link {
  constructor(server, key, memory) {
    Object.assign(this, { server, key, memory });
  }

  request(path, secret, body, accept) {
    const headers = { Accept: accept ?? "application/json" };
    if (secret) headers.Authorization = `Bearer ${secret}`;
    if (body) headers["Content-Type"] = "application/json";
    return fetch(this.server + path, {
      method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body),
      credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(60_000),
    });
  }

  /** The session's token: a new one where there is none, a longer one in time. */
  token(renew = false) {
    const { token, got, life } = this.memory.state;
    if (token && !renew && Date.now() - got < Math.min(life / 2, HALF_AN_HOUR)) return token;
    this.opening ??= this.open(token).finally(() => { this.opening = null; });
    return this.opening;
  }

  async open(token) {
    let response = token ? await this.request("/v1/sessions", this.key, { token }) : null;
    // One that is over cannot be made longer: the visitor begins a new conversation.
    if (!response || response.status === 401) response = await this.request("/v1/sessions", this.key, {});
    if (!response.ok) throw await refusal(response);
    const opened = await response.json();
    const life = Math.max(Date.parse(opened.expires_at) - Date.now(), 120_000);
    this.memory.keep({ token: opened.token, conversation: opened.conversation_id, got: Date.now(), life });
    return opened.token;
  }

  async call(path, body, accept) {
    let response = await this.request(path(), await this.token(), body?.(), accept);
    if (response.status === 401) response = await this.request(path(), await this.token(true), body?.(), accept);
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** The answer to a message; `piece` is told what has come so far. The same id gets the same. */
  async send({ id, text }, piece) {
    const body = () => ({ message: text, message_id: id });
    const response = await this.call(() => "/v1/chat", body, "text/event-stream");
    let told = "";
    for await (const [event, data] of events(response)) {
      if (event === "delta") piece((told += data.text));
      if (event === "done") return data;
      if (event === "error") throw new Refused(data.status, data.detail, 0);
    }
    throw new TypeError("the answer was cut off");
  }

  /** What was said after `cursor`; null where nothing was said yet. */
  async said(cursor) {
    await this.token();
    const path = () => `/v1/conversations/${this.memory.state.conversation}?limit=200&cursor=${cursor}`;
    try {
      return await (await this.call(path)).json();
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  async rate(id, rating, comment) {
    const body = () => ({ conversation_id: this.memory.state.conversation, message_id: id, rating, comment });
    await this.call(() => "/v1/feedback", body);
  }
}
