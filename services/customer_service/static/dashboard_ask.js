// A question before something is done that everybody notices.
import { el } from "../core/dom.js";
import { t } from "../core/texts.js";

/** Whether the person wants it. Escape and "Cancel" say no. */
export function confirmed(title, text, yes) {
  return new Promise((settle) => {
    const back = document.activeElement;
    let answer = false;
    const dialog = el("dialog", { "aria-labelledby": "ask-title" },
      el("h2", { id: "ask-title" }, title), el("p", {}, text),
      el("div.actions", {},
        el("button.primary", { type: "button", onclick: () => { answer = true; dialog.close(); } }, yes),
        el("button", { type: "button", onclick: () => dialog.close() }, t("Cancel"))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (back?.isConnected) back.focus();
      settle(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Something to look at. */
export function shownAside(title, ...content) {
  const back = document.activeElement;
  const dialog = el("dialog.wide", { "aria-labelledby": "aside-title" }, el("h2", { id: "aside-title" }, title), ...content,
    el("div.actions", {}, el("button", { type: "button", onclick: () => dialog.close() }, t("Close"))));
  dialog.addEventListener("close", () => { dialog.remove(); if (back?.isConnected) back.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
