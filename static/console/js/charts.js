// [data-chart]: draws the figures in the attribute with uPlot: bars for days and weeks, lines for hours, stacked where asked.
// The legend's buttons put a line away; colours follow the theme; the table below has the same numbers.
const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4]];
const charts = new Map();

// light-dark() of a custom property is resolved only where it is used as a colour.
function resolved(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const seriesColour = (number) => resolved(number ? `--series-${number}` : "--border-strong");

function shown(value, data) {
  const number = value / data.scale;
  if (data.prefix) return data.prefix + number.toLocaleString(document.documentElement.lang, { maximumFractionDigits: number && Math.abs(number) < 1 ? 4 : 2 });
  return number.toLocaleString(document.documentElement.lang, { notation: number >= 100000 ? "compact" : "standard", maximumFractionDigits: 1 });
}

function moment(seconds, data) {
  const options = data.grain === "hour" ? { hour: "2-digit", minute: "2-digit", day: "2-digit", month: "short" } : { day: "2-digit", month: "short", year: "numeric" };
  return new Date(seconds * 1000).toLocaleString(document.documentElement.lang, { ...options, timeZone: data.zone });
}

// Columns for uPlot. Stacked: each line on top of those before it; drawn from the highest down, so that all are seen.
function columns(data, away) {
  const base = data.x.map(() => 0);
  return data.lines.map((line, number) => {
    if (away.has(number)) return data.x.map(() => null);
    return line.points.map((point, place) => {
      if (!data.stacked) return point;
      base[place] += point;
      return base[place];
    });
  });
}

function draw(box, away = new Set()) {
  const data = JSON.parse(box.dataset.chart);
  charts.get(box)?.plot.destroy();
  box.replaceChildren();
  const order = data.lines.map((_, number) => number).reverse();
  const values = columns(data, away);
  const bars = data.grain !== "hour";
  const text = resolved("--muted");
  const grid = { stroke: resolved("--border"), width: 1 };
  const series = order.map((number) => {
    const line = data.lines[number];
    const stroke = seriesColour(line.colour);
    return bars
      ? { label: line.label, stroke, fill: stroke, width: 0, points: { show: false }, paths: window.uPlot.paths.bars({ size: [0.7, 48], radius: 0.1 }) }
      : { label: line.label, stroke, fill: data.stacked ? stroke : undefined, width: 2, dash: DASHES[line.dash], points: { show: false } };
  });
  const plot = new window.uPlot({
    width: Math.max(box.clientWidth, 200),
    height: 300,
    tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), data.zone),
    legend: { show: false },
    cursor: { points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { range: () => span(data) }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
    axes: [
      { stroke: text, grid: { show: false }, ticks: grid, font: "12px sans-serif", splits: (chart) => marked(data, chart.width), values: (_, splits) => splits.map((start) => brief(start, data)) },
      { stroke: text, grid, ticks: grid, font: "12px sans-serif", size: 64, values: (_, splits) => splits.map((value) => shown(value, data)) },
    ],
    series: [{}, ...series],
    hooks: { setCursor: [(chart) => tell(chart, box, data, away)] },
  }, [data.x, ...order.map((number) => values[number])], box);
  charts.set(box, { plot, away });
}

// From half a bucket before the first moment to half a one after the last, so that no bar is cut.
function span(data) {
  const step = data.x.length > 1 ? data.x[1] - data.x[0] : 86400;
  return data.grain === "hour" ? [data.x[0], data.x.at(-1)] : [data.x[0] - step / 2, data.x.at(-1) + step / 2];
}

function marked(data, width) {
  const every = Math.max(1, Math.ceil(data.x.length / Math.max(2, Math.floor(width / 90))));
  return data.x.filter((_, place) => place % every === 0);
}

function brief(start, data) {
  const options = data.grain === "hour" ? { hour: "2-digit", minute: "2-digit" } : { day: "2-digit", month: "short" };
  return new Date(start * 1000).toLocaleString(document.documentElement.lang, { ...options, timeZone: data.zone });
}

function tell(plot, box, data, away) {
  let tip = box.querySelector(".chart-tip");
  const place = plot.cursor.idx;
  if (place == null) return tip?.remove();
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "chart-tip";
    plot.over.append(tip);
  }
  const lines = data.lines.map((line, number) => ({ line, number })).filter(({ line, number }) => !away.has(number) && line.points[place]);
  const head = document.createElement("strong");
  head.textContent = moment(data.x[place], data);
  tip.replaceChildren(head, ...lines.map(({ line }) => {
    const row = document.createElement("div");
    row.textContent = `${line.label}: ${shown(line.points[place], data)}`;
    return row;
  }));
  const left = plot.cursor.left > plot.over.clientWidth / 2 ? plot.cursor.left - tip.offsetWidth - 12 : plot.cursor.left + 12;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = "8px";
}

function prepare(root) {
  if (!window.uPlot) return;
  const left = takenDown();
  for (const box of root.querySelectorAll("[data-chart]")) {
    if (charts.has(box)) continue;
    const lines = JSON.parse(box.dataset.chart).lines;
    const labels = left.get(nameOf(box)) ?? new Set();
    const away = new Set([...lines.keys()].filter((number) => labels.has(lines[number].label)));
    for (const number of away) box.closest("figure").querySelector(`[data-line="${number}"]`).setAttribute("aria-pressed", "false");
    draw(box, away);
  }
}

const nameOf = (box) => box.closest("figure").getAttribute("aria-labelledby");

// Lets go of charts that an answer has taken the place of; the labels of lines put away in them, by the chart's name.
function takenDown() {
  const left = new Map();
  for (const [box, { plot, away }] of charts) {
    if (box.isConnected) continue;
    plot.destroy(); // the library keeps hold of every plot that is not
    charts.delete(box);
    const lines = JSON.parse(box.dataset.chart).lines;
    left.set(nameOf(box), new Set([...away].map((number) => lines[number].label)));
  }
  return left;
}

function again() {
  for (const [box, { away }] of charts) if (box.isConnected) draw(box, away);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-line]");
  if (!button) return;
  const box = button.closest("figure").querySelector("[data-chart]");
  const away = charts.get(box)?.away ?? new Set();
  const number = Number(button.dataset.line);
  if (!away.delete(number)) away.add(number);
  button.setAttribute("aria-pressed", String(!away.has(number)));
  draw(box, away);
});

prepare(document);
document.addEventListener("htmx:afterSettle", () => prepare(document));
document.addEventListener("theme-changed", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
let resizing;
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(again, 150); });
