// The dashboard: each part loads and keeps itself up to date; the stream tells them of news.
import { refreshing } from "../core/api.js";
import { toast } from "../core/dom.js";
import { t } from "../core/texts.js";
import { alertArrived, loadAlerts } from "./alert_list.js";
import { loadCompanies } from "./companies.js";
import { loadCorrections } from "./corrections.js";
import { loadHeat } from "./heat.js";
import { live } from "./live.js";
import { loadOverview } from "./standing.js";
import { loadStories, storyArrived, streamState } from "./stories.js";
import { loadTopics } from "./topics.js";
import { seriesName, ticking } from "./words.js";

const looks = {
  overview: refreshing(loadOverview, 10),
  topics: refreshing(loadTopics, 60),
  heat: refreshing(loadHeat, 300),
  companies: refreshing(loadCompanies, 60),
  corrections: refreshing(loadCorrections, 60),
  alerts: refreshing(loadAlerts, 60),
};

// Many stories come at once: the charts follow a few seconds later, once for all of them.
let soon = null;
function followSoon() {
  soon ??= setTimeout(() => {
    soon = null;
    looks.topics();
    looks.companies();
  }, 8000);
}

live({
  open: streamState,
  reset() { loadStories().catch(() => {}); looks.alerts(); },
  story({ story }) { storyArrived(story); followSoon(); },
  alert({ change, alert }) {
    const before = alertArrived(alert);
    looks.overview();
    looks.topics();
    // What a first walk over old news finds and sees end at once is in the list, and no news.
    if ((change === "raised" || change === "reopened") && alert.state === "firing") toast(t("Alert: {name} turns negative.", { name: seriesName(alert) }), "bad");
    if (change === "resolved" && before?.state === "firing") toast(t("Over: {name} is no longer unusually negative.", { name: seriesName(alert) }));
  },
});
ticking();
