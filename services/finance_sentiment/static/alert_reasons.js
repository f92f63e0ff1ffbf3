// Why an alert fired: what was seen beside what is normal, hour by hour, story by story.
import { api } from "../core/api.js";
import { chart } from "../core/charts.js";
import { byId, el, empty, fill, safeLink } from "../core/dom.js";
import { moment, number, percent, t } from "../core/texts.js";
import { ago, detectorName, onClock, sentimentBadge, seriesName, timeAxis } from "./words.js";

const FIRST = 20;

export async function reasons(alert) {
  const said = alert.explanation;
  const { stories } = alert.is_test ? { stories: [] } : await api(`/v1/alerts/${alert.id}/stories`);
  warnings(alert, said);
  band(said?.band);
  strength(alert, said);
  if (said?.basis?.stories.length > 1) hours(alert, said.basis);
  byId("unexplained").hidden = Boolean(said);
  if (!said) fill(byId("unexplained"), el("p.muted", {}, unexplained(alert)));
  needed(said, stories);
  behind(said, stories);
  sources(said?.sources, stories);
  computed(alert, said);
}

function unexplained(alert) {
  if (alert.detector.startsWith("rule:")) {
    const { window_hours: hours, min_stories: least, negative_share_wanted: share } = alert.evidence;
    return t("By {rule}: at least {share} of at least {n} stories of {hours} h negative.", { rule: detectorName(alert.detector), share: percent(share, 0), n: least, hours });
  }
  return t("It was found in a look back over old stories; what was normal then is not kept, so it cannot be broken down.");
}

function warnings(alert, said) {
  const told = [];
  if (said?.one_source) told.push(t("Careful: all negative stories come from one source, {name}.", { name: said.one_source }));
  if ((alert.evidence.news ?? "ok") !== "ok") told.push(t("Not all feeds answered: some of the news are missing."));
  fill(byId("warnings"), told.map((text) => el("p.needed", {}, text)));
}

/** What was seen beside what 95 % of such stretches keep within. */
function band(found) {
  if (!found || found.seen == null) { fill(byId("band")); return; }
  const at = (share) => `${100 * Math.min(1, Math.max(0, share))}%`;
  const range = el("i.gauge-band"), expected = el("i.gauge-expected"), seen = el("i.gauge-seen");
  range.style.left = at(found.low);
  range.style.width = at(found.high - found.low);
  expected.style.left = at(found.expected);
  seen.style.left = at(found.seen);
  const values = { seen: percent(found.seen, 0), expected: percent(found.expected, 0), low: percent(found.low, 0), high: percent(found.high, 0) };
  fill(byId("band"),
    el("p.answer", {}, t("{seen} were negative. Normal is {expected}, and 95 % of such stretches keep between {low} and {high}.", values)),
    el("div.gauge", { "aria-hidden": "true" }, range, expected, seen),
    el("div.gauge-legend", { "aria-hidden": "true" }, el("span", {}, "0 %"), el("span", {}, t("shaded: normal")), el("span", {}, t("mark: seen")), el("span", {}, "100 %")));
}

function strength(alert, said) {
  const statistic = said?.statistic ?? alert.evidence.statistic, threshold = said?.threshold ?? alert.evidence.threshold;
  byId("statistic").textContent = statistic == null ? "" : t("Found by the {detector}: the evidence came to {statistic}, an alert needs {threshold}.", {
    detector: detectorName(alert.detector), statistic: number(statistic), threshold: number(threshold) });
}

function hours(alert, basis) {
  const HOUR = 3_600_000;
  const times = basis.stories.map((_, i) => onClock((basis.first_hour + i + 0.5) * HOUR));
  // A few hours alone would be bars as broad as the page.
  const beside = Math.max(1, (12 - times.length) / 2) * HOUR;
  const expected = basis.expected_stories.map((n, i) => n * basis.share[i]);
  const bad = basis.negative.reduce((a, b) => a + b, 0), all = basis.stories.reduce((a, b) => a + b, 0);
  byId("hours").hidden = false;
  const told = t("{name} by the hour: {negative} negative stories of {n} over {hours} hours, where {expected} negative ones are normal.", {
    name: seriesName(alert), negative: number(bad), n: number(all), hours: times.length, expected: number(Math.round(expected.reduce((a, b) => a + b, 0) * 10) / 10) });
  chart(byId("hours"), told, (c) => ({
    data: [
      { type: "bar", x: times, y: basis.negative, marker: { color: c.negative }, name: t("negative"), hovertemplate: `${t("negative")} %{y}<extra></extra>` },
      { type: "bar", x: times, y: basis.stories.map((n, i) => n - basis.negative[i]), marker: { color: c.line }, name: t("others"), hovertemplate: `${t("others")} %{y}<extra></extra>` },
      { x: times, y: expected, mode: "lines", line: { color: c.ink, dash: "dot", width: 1.5 }, name: t("negative ones that are normal"), hovertemplate: `${t("normal")} %{y:.1f}<extra></extra>` },
    ],
    layout: { barmode: "stack", bargap: 0.15, showlegend: true, legend: { orientation: "h", y: 1.18, x: 0 }, xaxis: { ...timeAxis(), range: [onClock(basis.first_hour * HOUR - beside), onClock((basis.first_hour + times.length) * HOUR + beside)] }, yaxis: { title: { text: t("stories an hour") } } },
  }));
}

function needed(said, stories) {
  byId("needed-card").hidden = !said;
  if (!said) return;
  const { stories: ids, sources: names } = said.would_not_have_fired_without;
  const titles = new Map([...said.stories, ...stories].map((story) => [story.id, story.title]));
  const told = [];
  if (ids.length) {
    const named = ids.map((one) => el("li", {}, titles.get(one) ?? `#${one}`));
    told.push(el("p", {}, ids.length === 1 ? t("this story:") : t("any single one of these {n} stories, since it stands right at the threshold:", { n: number(ids.length) })), el("ul", {}, named.slice(0, 3)));
    if (named.length > 3) told.push(el("details", {}, el("summary", {}, t("{n} more", { n: number(named.length - 3) })), el("ul", {}, named.slice(3))));
  }
  if (names.length) told.push(el("p.spaced", {}, names.length === 1 ? t("this source, with all it brought:") : t("any one of these sources, with all it brought:"), " ", el("strong", {}, names.join(", "))));
  fill(byId("needed"), told.length ? told : el("p", {}, t("No single story and no single source decided it: take any one away, and it would have fired all the same.")));
}

function behind(said, stories) {
  const now = new Map(stories.map((story) => [story.id, story]));
  const moved = said?.stories ?? [];
  const most = Math.max(1e-9, ...moved.map((story) => story.moved));
  const others = stories.filter((story) => !moved.some((one) => one.id === story.id));
  byId("behind-note").textContent = moved.length ? t("Longest bar: moved the alert most, by how much lower the evidence would stand without it.") : stories.length ? t("The negative stories of its time.") : "";
  const rest = others.map((one) => story(one, one, null));
  const first = moved.length ? 0 : FIRST;
  fill(byId("behind"), moved.map((one) => story(one, now.get(one.id), one.moved / most)), rest.slice(0, first));
  fill(byId("behind-more"), rest.length > first && el("details", {}, el("summary", {}, t("{n} more negative stories of its time", { n: number(rest.length - first) })), el("ol.plain.rows", {}, rest.slice(first))));
  if (!moved.length && !others.length) fill(byId("behind"), el("li", {}, empty(t("Its stories are no longer kept"), "")));
}

function story(told, now, share) {
  const bar = el("i");
  if (share != null) bar.style.width = `${Math.max(0, 100 * share)}%`;
  const sources = now?.sources?.length ? now.sources : told.sources ?? [];
  const when = now?.published_at ?? (told.hour != null ? new Date(told.hour * 3_600_000).toISOString() : null);
  const sure = told.p_negative;
  return el("li", {}, el(share == null ? "div" : "div.moved", {},
    share != null && el("span.bar.negative", { title: t("moved the evidence by {n}", { n: number(told.moved) }), role: "img", "aria-label": t("moved the evidence by {n}", { n: number(told.moved) }) }, bar),
    el("div", {}, el("div.story-title", {}, now?.url ? safeLink(now.url, told.title) : told.title),
      el("small", {}, now && now.sentiment !== "negative" && [sentimentBadge(now.sentiment), " "], sources.slice(0, 3).join(", "), sources.length > 3 && ` + ${sources.length - 3}`,
        when && [" · ", ago(when)], sure != null && ` · ${t("{share} sure that it is negative", { share: percent(sure, 0) })}`))));
}

function sources(found, stories) {
  const counted = found?.by_source ?? {};
  if (!found) for (const one of stories) counted[one.source] = (counted[one.source] ?? 0) + 1;
  const rows = Object.entries(counted).sort((a, b) => b[1] - a[1]).slice(0, 10);
  byId("source-note").textContent = found ? t("{negative} of {n} stories negative, from {sources} sources; carried {mentions} times.", { negative: number(found.negative), n: number(found.stories), sources: number(found.sources), mentions: number(found.mentions) }) : "";
  const most = Math.max(1, ...rows.map(([, n]) => n));
  fill(byId("by-source"), rows.map(([name, n]) => {
    const bar = el("i");
    bar.style.width = `${(100 * n) / most}%`;
    return el("div.by-source", {}, el("span", {}, name), el("span.bar.negative", { "aria-hidden": "true" }, bar), el("span", {}, number(n)));
  }));
}

function computed(alert, said) {
  const rows = [[t("Detector"), alert.detector], [t("Found"), moment(alert.raised_at)]];
  if (said) {
    rows.push([t("Models that labelled the stories"), said.model_versions.join(", ")], [t("Formulas"), said.rule_version]);
    if (said.carried) rows.push([t("Gathered before the last weekly fit"), number(said.carried)]);
  }
  fill(byId("computed"), rows.map(([term, text]) => [el("dt", {}, el("strong", {}, term)), el("dd", {}, text)]));
}
