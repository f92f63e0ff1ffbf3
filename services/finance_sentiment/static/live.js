// The stream of events. A browser comes back by itself with the last id it has seen, so nothing is
// lost or doubled; where it gives up, the stream is opened anew and everything is loaded again.

const AGAIN = 4000;

/** Listen. `on.story(content)`, `on.alert(content)`; `on.reset()` when all must be loaded anew, and
 * once at the start, as soon as the stream is open or cannot be; `on.open(isOpen)`. */
export function live(on, query = "") {
  let started = false;
  const begin = () => {
    if (started) return;
    started = true;
    on.reset();
  };
  const listen = () => {
    const stream = new EventSource(`/v1/events${query}`);
    stream.addEventListener("open", () => { on.open?.(true); begin(); });
    for (const kind of ["story", "alert"]) {
      stream.addEventListener(kind, (event) => on[kind]?.(JSON.parse(event.data)));
    }
    stream.addEventListener("reset", () => on.reset());
    stream.addEventListener("error", () => {
      // The server wants a key: the page is loaded anew once it has one.
      if (document.getElementById("sign-in")) { stream.close(); return; }
      on.open?.(false);
      begin();
      if (stream.readyState !== EventSource.CLOSED) return;
      started = false;
      setTimeout(listen, AGAIN);
    });
  };
  listen();
}
