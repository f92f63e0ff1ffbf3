// Small pieces that all parts of the dashboard use.
import { el, empty, fill } from "../core/dom.js";

/** A figure at the top: its number, and what stands below. */
export function figure(place, value, note) {
  const box = document.querySelector(`[data-figure="${place}"]`);
  fill(box.querySelector(".value"), value);
  fill(box.querySelector(".note"), note);
}

// Plotly reads a little markup in texts: names from outside lose what it would read.
export const plain = (text) => String(text).replace(/[<>&]/g, " ");

/** In place of a chart: why there is none. */
export function clear(box, title, hint) {
  box.style.height = "auto";
  fill(box, empty(title, hint));
}
/** Room for a chart in the box: what to draw into. */
export function ready(box, height) {
  box.style.height = `${height}px`;
  const there = box.querySelector(":scope > .plot");
  if (there) return there;
  const plot = el("div.plot");
  fill(box, plot);
  return plot;
}

/** From a little below 0, so that a dot on 0 is whole, to the end of the longest interval. */
export function reachOf(rows) {
  const most = Math.max(...rows.map((row) => row.ci[1]), 1e-6), least = Math.min(0, ...rows.map((row) => row.ci[0]));
  return [least - most * 0.03, most * 1.05];
}
