// Charts over time, of /api/activity/series: one line for each key, gaps where nothing happened.

const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });
const COLOURS = ["#3b7dd8", "#d8733b", "#3ba45f", "#a45fd8", "#c2a21c", "#d83b6f", "#3bb5b5", "#7a7f8a"];
const LINES = COLOURS.length;
const SPANS = { minute: [60, 60], hour: [3600, 48], day: [86400, 30] };
const CHARTS = {
  exchanges: (point) => point.exchanges, tokens: (point) => point.tokens, cost: (point) => point.nano_usd / 1e9,
  blocked: (point) => point.blocked, latency: (point) => point.first_byte_ms,
};
const choice = document.getElementById("chart-choice");
const drawn = {};

async function refresh() {
  if (document.hidden || !document.getElementById("charts-fold").open) return;
  const step = choice.elements.step.value;
  const by = choice.elements.by.value;
  const answer = await fetch(`/api/activity/series?step=${step}&by=${by}`, { headers: { accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return; // they stay as they were, until the next time
  const { points } = await answer.json();
  const [seconds, count] = SPANS[step];
  const end = Math.floor(Date.now() / 1000 / seconds) * seconds;
  const times = Array.from({ length: count }, (_, i) => end - (count - 1 - i) * seconds);
  const keys = ranked(points);
  for (const [name, value] of Object.entries(CHARTS)) draw(name, times, keys, points, value);
  if (step === "minute") tiles(points);
}

function ranked(points) {
  const sums = new Map();
  for (const point of points) sums.set(point.key, (sums.get(point.key) ?? 0) + point.exchanges);
  return [...sums].sort((a, b) => b[1] - a[1]).slice(0, LINES).map(([key]) => key);
}

function draw(name, times, keys, points, value) {
  const place = document.getElementById(`chart-${name}`);
  const at = new Map(times.map((time, i) => [time, i]));
  const lines = (keys.length ? keys : [""]).map((key) => {
    const line = new Array(times.length).fill(name === "latency" ? null : 0);
    for (const point of points) {
      const i = at.get(Date.parse(point.at) / 1000);
      if (point.key === key && i !== undefined) line[i] = value(point);
    }
    return line;
  });
  const style = getComputedStyle(document.documentElement);
  const colour = style.getPropertyValue("--quiet").trim();
  const axis = { stroke: colour, grid: { stroke: colour, width: 0.2 }, ticks: { stroke: colour, width: 0.2 } };
  const series = [{}, ...(keys.length ? keys : [""]).map((key, i) => ({ label: key || "all", stroke: COLOURS[i], width: 1.5, spanGaps: true, points: { size: 4 } }))];
  drawn[name]?.destroy();
  const options = { width: place.clientWidth || 300, height: 150, series, axes: [axis, { ...axis, size: 52, values: (_, found) => found.map((value) => short.format(value)) }], legend: { show: keys.length > 1 }, cursor: { drag: { x: false, y: false } } };
  drawn[name] = new uPlot(options, [times, ...lines], place);
  const total = lines.flat().reduce((sum, one) => sum + (one ?? 0), 0);
  place.setAttribute("aria-label", `${place.previousElementSibling?.textContent ?? name} over time, ${total.toLocaleString()} in all`);
}

function tiles(points) {
  const sum = (of) => points.reduce((total, point) => total + (of(point) ?? 0), 0);
  document.getElementById("tile-blocked").textContent = sum((point) => point.blocked).toLocaleString();
  document.getElementById("tile-tokens").textContent = sum((point) => point.tokens).toLocaleString();
  document.getElementById("tile-cost").textContent = `$${sum((point) => point.nano_usd / 1e9).toFixed(2)}`;
}

choice.addEventListener("change", refresh);
let resized = 0;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => Object.entries(drawn).forEach(([name, chart]) => chart.setSize({ width: document.getElementById(`chart-${name}`).clientWidth, height: 150 })), 200);
});
document.addEventListener("visibilitychange", refresh);
refresh();
setInterval(refresh, 10_000);
