// In which language does the widget speak?

/** "en" or "zh": what the element says, else the page, else the browser. */
export function languageOf(wanted) {
  const named = [wanted, document.documentElement.lang, ...(navigator.languages ?? [])];
  return (named.find((one) => /^(en|zh)\b/i.test(one ?? "")) ?? "en").slice(0, 2).toLowerCase();
}

/** t("new messages: {n}", {n: 2}), in this language. The server puts the place of a text in its stead
 * and the list TEXTS of [English, Chinese] before it all. */
export const words = (language) => (text, values = {}) =>
  TEXTS[text][language === "zh" ? 1 : 0].replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));

/** For a screen reader: the language that a text is written in. */
export const writtenIn = (text) => (/[\u3400-\u9fff]/.test(text) ? "zh" : "en");
