// Charts in the page's colours, light and dark, redrawn when either changes. Plotly is loaded by the
// page (`charts=True`); here is all that the rest of the code knows of it.

const drawn = new Map();

const property = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The palette of now: ink, muted, line, brand, negative, neutral, positive, warn, band, series[]. */
export const colours = () => ({
  ink: property("--ink"), muted: property("--muted"), line: property("--line"), card: property("--card"),
  brand: property("--brand"), negative: property("--negative"), neutral: property("--neutral"),
  positive: property("--positive"), warn: property("--warn"), band: property("--band"),
  series: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => property(`--series-${i}`)),
});

/** Draw into `node`: `make(colours)` gives {data, layout}; it is asked again when the colours change.
 * `describe` is what a screen reader is told instead. */
export function chart(node, describe, make) {
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", describe);
  drawn.set(node, make);
  return paint(node, make);
}

function paint(node, make) {
  if (!window.Plotly) return Promise.resolve();
  const c = colours();
  const { data, layout = {} } = make(c);
  const axis = { gridcolor: c.line, linecolor: c.line, zeroline: false, automargin: true, fixedrange: true };
  return window.Plotly.react(node, data, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: property("--font"), size: 12, color: c.ink },
    margin: { l: 44, r: 12, t: 8, b: 34 }, showlegend: false, colorway: c.series, hovermode: "x unified",
    hoverlabel: { bgcolor: c.card, bordercolor: c.line, font: { color: c.ink } },
    dragmode: false, ...layout,
    xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, rangemode: "tozero", ...layout.yaxis },
  }, { displayModeBar: false, responsive: true, scrollZoom: false });
}

addEventListener("themechange", () => {
  for (const [node, make] of drawn) node.isConnected ? paint(node, make) : drawn.delete(node);
});
