// Elements made from values. Text is always set as text: there is no way to pass markup in.

/** el("a.button", {href, onclick, hidden: false, "aria-label": …}, "text", otherElement, [more]) */
export function el(selector, attributes = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((c) => c != null && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Put these in place of what `parent` holds. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(3).filter((c) => c != null && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return parent;
}

/** A link only where it leads to a web page: "javascript:" and the like give plain text. */
export function safeLink(href, ...children) {
  let url = null;
  try { url = new URL(href, location.href); } catch { /* no address */ }
  if (!url || !["http:", "https:"].includes(url.protocol)) return el("span", {}, ...children);
  return el("a", { href: url.href, rel: "noopener noreferrer nofollow", target: "_blank" }, ...children);
}

/** A short word that goes by itself; for what was done. */
export function toast(text, kind = "") {
  const note = el(`p.toast${kind && "." + kind}`, {}, text);
  const shown = byId("toasts");
  while (shown.childElementCount > 2) shown.firstElementChild.remove();
  shown.append(note);
  setTimeout(() => note.remove(), 6000);
}

/** What stands where there is nothing to show yet, and what to do about it. */
export const empty = (title, hint) => el("div.empty", {}, el("strong", {}, title), hint && el("p", {}, hint));
