// The page on which one tries the bot: questions to click, a key where the server wants one, and
// the tag to copy.
import { byId, toast } from "../core/dom.js";
import { t } from "../core/texts.js";

const KEPT = "trefoil-try-key";
const chat = document.querySelector("trefoil-chat");
const keyed = byId("keyed");

// This runs before the widget's script makes the element live.
if (kept()) chat.setAttribute("key", kept());
// Where the questions lie below the chat, some stand in it as well.
if (matchMedia("(max-width: 900px)").matches) {
  const first = document.querySelectorAll(".questions li:first-child [data-ask]");
  chat.setAttribute("suggestions", [...first].slice(0, 3).map((button) => button.dataset.ask).join("|"));
}

for (const button of document.querySelectorAll("[data-ask]")) {
  button.addEventListener("click", () => {
    chat.ask(button.dataset.ask);
    byId("talk").scrollIntoView({ block: "nearest" });
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(code.textContent);
      toast(t("Copied."));
    } catch {
      // Not allowed here (no https): selected, it is one key press away.
      getSelection().selectAllChildren(code);
      toast(t("Selected; copy it with Ctrl+C."));
    }
  });
}

// Where API keys are in use, the chat needs one like any other site's.
chat.addEventListener("trefoil-chat", ({ detail }) => {
  if (detail.connection !== "refused") return;
  byId("make").textContent = `trefoil customer-service keys create try --publishable --origin ${location.origin}`;
  if (kept()) byId("key-said").textContent = t("The key that was pasted here does not open this page.");
  keyed.hidden = false;
  chat.hidden = true;
});

keyed.addEventListener("submit", (event) => {
  event.preventDefault();
  localStorage.setItem(KEPT, byId("key").value.trim());
  location.reload();
});

function kept() {
  try { return localStorage.getItem(KEPT) ?? ""; } catch { return ""; }
}
