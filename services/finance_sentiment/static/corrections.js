// What a label should be: the dialog in which a person says so, and the list of what waits for
// another person's consent.
import { api, Problem } from "../core/api.js";
import { byId, el, fill, toast } from "../core/dom.js";
import { t } from "../core/texts.js";
import { keyed } from "./keyed.js";
import { known } from "./standing.js";
import { iAm, topicName, whoAmI } from "./words.js";

const dialog = byId("correct"), form = byId("correct-form");
let of = null;

export function correctStory(story) {
  of = story;
  byId("correct-story").textContent = story.title;
  for (const radio of form.elements.sentiment) radio.checked = radio.value === story.sentiment;
  const topics = [...new Set([...known.topics, ...(story.topic ? [story.topic] : [])])].sort();
  fill(byId("correct-topic"), !story.topic && el("option", { value: "" }, "–"), topics.map((topic) => el("option", { value: topic }, topicName(topic))));
  byId("correct-topic").value = story.topic ?? "";
  byId("correct-by").value = whoAmI();
  byId("correct-note").value = "";
  byId("correct-error").textContent = "";
  dialog.showModal();
}

byId("correct-cancel").addEventListener("click", () => dialog.close());

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = { sentiment: form.elements.sentiment.value || null, topic: byId("correct-topic").value || null };
  const both = of.state === "unlabelled";
  const body = { story_id: of.id, by: byId("correct-by").value.trim(), note: byId("correct-note").value };
  for (const [name, value] of Object.entries(said)) if (value && (both || value !== of[name])) body[name] = value;
  if (!body.sentiment && !body.topic) { byId("correct-error").textContent = t("Nothing is different yet: choose what is right."); return; }
  try {
    const kept = await api("/v1/labels", { method: "POST", body });
    iAm(body.by);
    dialog.close();
    toast(kept.state === "accepted" ? t("Thank you. The story carries it now.") : t("Thank you. It waits until somebody accepts it."));
    loadCorrections().catch(() => {});
  } catch (error) {
    byId("correct-error").textContent = error instanceof Problem ? error.message : t("The server cannot be reached; try again.");
  }
});

export async function loadCorrections() {
  const { labels } = await api("/v1/labels?state=quarantine&limit=10");
  byId("waiting").hidden = labels.length === 0;
  keyed(byId("corrections"), labels, (one) => one.id, row);
}

function row(one) {
  const changes = [];
  if (one.sentiment) changes.push(`${one.was?.sentiment ? t(one.was.sentiment) : "–"} → ${t(one.sentiment)}`);
  if (one.topic) changes.push(`${one.was?.topic ? topicName(one.was.topic) : "–"} → ${topicName(one.topic)}`);
  const decide = (what) => async () => {
    try {
      await api(`/v1/labels/${one.id}/${what}`, { method: "POST", body: whoAmI() ? { by: whoAmI() } : undefined });
      toast(what === "accept" ? t("Accepted: the story carries it now.") : t("Rejected: nothing comes of it."));
    } catch (error) { toast(error.message, "bad"); }
    await loadCorrections().catch(() => {});
    byId("waiting-title").scrollIntoView({ block: "nearest" });
  };
  return el("li", {}, el("div.story-title", {}, one.text),
    el("p", {}, el("strong", {}, changes.join(" · ")), " ", el("small", {}, t("says {name}", { name: one.by }), one.note && `: ${one.note}`)),
    one.conflicts.length > 0 && el("p", {}, el("span.badge.warn", {}, t("Others say otherwise"))),
    el("div.actions", {}, el("button.small", { type: "button", dataset: { focus: "accept" }, onclick: decide("accept") }, t("Accept")),
      el("button.small.quiet", { type: "button", dataset: { focus: "reject" }, onclick: decide("reject") }, t("Reject"))));
}
