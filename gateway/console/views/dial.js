// The cost-quality curve, where one stands on it, and what moving costs and saves.
import uPlot from "../vendor/uplot.js";
import { get } from "../api.js";
import { dollars, empty, h, heading, percent, score, whole } from "../page.js";
import { w } from "../words.js";
export async function show(view, { signal }) {
  const found = await get("/admin/dial", { signal });
  const { recent } = found;
  const tiles = recent.notches.map((notch) => h("div", { class: `tile ${notch.dial === found.dial ? "here" : ""}` }, h("span", {}, notch.dial, notch.dial === found.dial ? ` · ${w("here")}` : ""), h("b", {}, percent(notch.deep_share, 0)), h("span", {}, w("deepShare")), h("div", { class: "small" }, `${w("cost")} ${dollars(notch.cost_dollars)} · ${w("quality")} ${percent(notch.quality)}`)));
  const own = h("section", {}, h("h2", {}, `${w("ownTraffic")} (${whole(recent.requests)} ${w("requests")})`), tiles.length ? h("div", { class: "tiles" }, tiles) : h("p", { class: "soft" }, w("ownNone")));
  if (!found.curves.length) return view.replaceChildren(...heading(w("dial"), w("dialLead")), empty(w("noCurve"), ""), own);
  const choose = h("select", {}, found.curves.map((curve, at) => h("option", { value: at }, `${curve.name === "all" ? w("allSources") : `${curve.name}, ${w("observed")}`} (${whole(curve.examples)})`)));
  const slider = h("input", { type: "range", min: 0, max: 1, step: 0.001, value: found.thresholds[found.dial], id: "threshold", "aria-label": w("move") });
  const figures = h("div", { class: "tiles", id: "moved", "aria-live": "polite" });
  const chart = h("div", { class: "chart", role: "img", "aria-label": w("curve") });
  const yaml = h("code", { class: "token mono" });
  const notches = h("div", { class: "segments", role: "group", "aria-label": w("dialWord") }, Object.entries(found.thresholds).map(([dial, threshold]) => h("button", { type: "button", "data-dial": dial, onclick: () => { slider.value = threshold; move(); } }, dial)));
  let plot;
  const points = () => found.curves[Number(choose.value)].points;
  const at = (threshold) => interpolate(points(), threshold);
  const x = (point) => (found.priced ? point.dollars_per_1000 : point.deep_share * 100);
  const move = () => {
    const threshold = Number(slider.value), here = at(threshold), set = at(found.thresholds[found.dial]);
    const change = (value, text) => `${value > 0 ? "+" : ""}${text} ${w("againstNow")}`;
    figures.replaceChildren(...[[w("threshold2"), score(threshold), ""], [w("deepShare"), percent(here.deep_share), change(here.deep_share - set.deep_share, percent(here.deep_share - set.deep_share))], [w("quality"), percent(here.quality), change(here.quality - set.quality, percent(here.quality - set.quality))], ...(found.priced ? [[w("per1000"), dollars(here.dollars_per_1000), change(here.dollars_per_1000 - set.dollars_per_1000, dollars(here.dollars_per_1000 - set.dollars_per_1000))]] : [])].map(([name, value, more]) => h("div", { class: "tile" }, h("span", {}, name), h("b", {}, value), h("span", {}, more))));
    for (const button of notches.children) button.setAttribute("aria-pressed", Math.abs(found.thresholds[button.dataset.dial] - threshold) < 0.0006);
    yaml.textContent = `routing:\n  thresholds: {${found.dial}: ${threshold.toFixed(4)}}`;
    draw(here, set);
  };
  const draw = (here, set) => {
    const line = [...points(), { ...here, mark: "here" }, { ...set, mark: "set" }].sort((a, b) => x(a) - x(b));
    const data = [line.map(x), line.map((point) => point.quality * 100), line.map((point) => (point.mark === "here" ? point.quality * 100 : null)), line.map((point) => (point.mark === "set" ? point.quality * 100 : null))];
    plot?.destroy();
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    plot = new uPlot({ width: Math.max(chart.clientWidth, 260), height: 300, legend: { show: false }, scales: { x: { time: false } }, cursor: { drag: { x: false, y: false } },
      axes: [{ ...axis, label: found.priced ? w("per1000") : w("deepShare"), values: (_, ticks) => ticks.map((tick) => (found.priced ? `$${tick}` : `${tick} %`)) }, { ...axis, label: w("quality"), size: 62, values: (_, ticks) => ticks.map((tick) => `${tick} %`) }],
      series: [{}, { stroke: colour("--fast"), width: 2.5, points: { show: false } }, { stroke: colour("--deep"), fill: colour("--deep"), points: { show: true, size: 14, fill: colour("--deep") }, paths: () => null }, { stroke: colour("--ink"), points: { show: true, size: 11, fill: colour("--card"), width: 2 }, paths: () => null }] }, data, chart);
  };
  slider.addEventListener("input", move);
  choose.addEventListener("change", move);
  view.replaceChildren(...heading(w("dial"), w("dialLead")), h("section", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, w("curve")), notches), h("label", {}, w("curveOf"), choose), chart, slider), h("p", {}), figures,
    h("p", { class: "small soft" }, w(found.priced ? "curveNote" : "curveUnpriced", found.answer_tokens)), own, h("section", { class: "card" }, h("p", { class: "small soft" }, w("setIt")), yaml));
  move();
  const sized = new ResizeObserver(() => plot?.setSize({ width: Math.max(chart.clientWidth, 260), height: 300 }));
  sized.observe(chart);
  signal.addEventListener("abort", () => { sized.disconnect(); plot?.destroy(); });
}
function interpolate(points, threshold) {
  const after = points.findIndex((point) => point.threshold >= threshold);
  if (after <= 0) return { ...points[after === 0 ? 0 : points.length - 1] };
  const low = points[after - 1], high = points[after];
  const share = (threshold - low.threshold) / (high.threshold - low.threshold || 1);
  return Object.fromEntries(Object.keys(low).map((name) => [name, low[name] === null ? null : low[name] + share * (high[name] - low[name])]));
}
