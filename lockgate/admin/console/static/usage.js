// Usage by day: three charts of /api/usage.

const place = document.getElementById("usage-charts");
const CHARTS = {
  requests: (use) => use.requests,
  tokens: (use) => use.input_tokens + use.output_tokens + use.cache_read_tokens + use.cache_write_tokens,
  usd: (use) => use.usd,
};
const DAY = 86400;
const HEIGHT = 150;
const said = new Intl.NumberFormat(undefined, { notation: "compact" });

async function draw() {
  const answer = await fetch(`/api/usage?${place.dataset.series}`, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  const { items } = await answer.json();
  const found = new Map(items.map((use) => [Date.parse(`${use.key}T00:00:00Z`) / 1000, use]));
  const today = Math.floor(Date.now() / 1000 / DAY) * DAY;
  const count = Number(place.dataset.days) + 1;
  const days = Array.from({ length: count }, (_, i) => today - (count - 1 - i) * DAY);
  const style = getComputedStyle(document.documentElement);
  const colour = style.getPropertyValue("--quiet").trim();
  const axis = { stroke: colour, grid: { stroke: colour, width: 0.2 }, ticks: { stroke: colour, width: 0.2 } };
  const charts = Object.entries(CHARTS).map(([name, value]) => {
    const chart = document.getElementById(`usage-${name}`);
    const values = days.map((day) => (found.has(day) ? value(found.get(day)) : 0));
    const total = values.reduce((sum, one) => sum + one, 0);
    chart.setAttribute("aria-label", `${chart.getAttribute("aria-label")}, ${total.toLocaleString()} in all`);
    const series = [{}, { label: name, stroke: "#3b7dd8", fill: "#3b7dd822", width: 1.5, points: { size: 4 } }];
    const options = { width: chart.clientWidth || 300, height: HEIGHT, series, axes: [axis, { ...axis, size: 52, values: (_, values) => values.map((value) => said.format(value)) }], legend: { show: false }, cursor: { drag: { x: false, y: false } }, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC") };
    return [chart, new uPlot(options, [days, values], chart)];
  });
  addEventListener("resize", () => charts.forEach(([chart, drawn]) => drawn.setSize({ width: chart.clientWidth, height: HEIGHT })));
}

draw();
