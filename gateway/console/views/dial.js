// The cost-quality curve, where one stands on it, and what moving costs and saves.
import uPlot from "../vendor/uplot.js";
import { get } from "../api.js";
import {
  bar,
  choice,
  copyable,
  dollars,
  empty,
  h,
  heading,
  percent,
  points as pointsOf,
  score,
  segments,
  signed,
  tile,
  whole,
} from "../page.js";
import { w } from "../words.js";

const HIGH = 320,
  NEAR = 0.0006;

export async function show(view, { signal }) {
  const found = await get("/admin/dial", { signal });
  const head = heading(w("dialView"), w("dialLead"));
  const rest = [ownTraffic(found)];
  if (!found.curves.length) {
    return view.replaceChildren(head, h("div", { class: "card" }, empty(w("noCurve"), w("noCurveMore"))), ...rest);
  }
  const named = (curve) =>
    `${curve.name === "all" ? w("allSources") : `${curve.name}, ${w("observed")}`} (${whole(curve.examples)})`;
  const choose = choice(
    found.curves.map((curve, at) => [String(at), named(curve)]),
    "0",
    { "aria-label": w("curveOf") },
  );
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.001,
    value: found.thresholds[found.dial],
    id: "threshold",
    "aria-label": w("move"),
  });
  const figures = h("div", { class: "tiles", id: "moved" });
  const says = h("p", { id: "says", "aria-live": "polite" });
  const yaml = copyable("", "yaml");
  const chart = h("div", { class: "chart", role: "img", "aria-label": w("curve") });
  const notches = segments(
    w("dial"),
    Object.keys(found.thresholds).map((name) => [name, w.dial(name)]),
    found.dial,
    (name) => {
      slider.value = found.thresholds[name];
      move();
    },
  );
  const points = () => found.curves[Number(choose.value)].points;
  let plot = null;

  const move = () => {
    const notch = Object.keys(found.thresholds).find(
      (name) => Math.abs(found.thresholds[name] - Number(slider.value)) < NEAR,
    );
    const threshold = found.thresholds[notch] ?? Number(slider.value);
    const here = interpolate(points(), threshold),
      set = interpolate(points(), found.thresholds[found.dial]);
    notches.set(notch);
    figures.replaceChildren(...compared(found, here, set, threshold));
    says.textContent = sentence(found, here, set, notch);
    yaml.firstChild.textContent = notch
      ? `routing:\n  dial: ${notch}`
      : `routing:\n  thresholds: {${found.dial}: ${threshold.toFixed(3)}}`;
    plot?.destroy();
    plot = drawn(chart, found, points(), here, set);
  };
  slider.addEventListener("input", move);
  choose.addEventListener("change", move);
  view.replaceChildren(
    head,
    h(
      "section",
      { class: "card" },
      h("div", { class: "row spread" }, h("h2", {}, w("curve")), choose),
      h(
        "div",
        { class: "row legend small soft" },
        h("i", { class: "line routed" }),
        w("curveLegend"),
        h("i", { class: "line mixed" }),
        w("randomLegend"),
        h("span", { class: "ring set" }),
        w("setLegend"),
        h("span", { class: "ring" }),
        w("hereLegend"),
      ),
      chart,
      h("div", { class: "mover" }, notches.element, slider),
      says,
    ),
    figures,
    h("p", { class: "small soft" }, found.priced ? w("curveNote", found.answer_tokens) : w("curveUnpriced")),
    ...rest,
    h("section", { class: "card" }, h("p", { class: "soft" }, w("setIt")), yaml),
  );
  move();
  const sized = new ResizeObserver(() => plot?.setSize({ width: Math.max(chart.clientWidth, 240), height: HIGH }));
  sized.observe(chart);
  document.addEventListener("dressed", move, { signal });
  signal.addEventListener("abort", () => {
    sized.disconnect();
    plot?.destroy();
  });
}

function compared(found, here, set, threshold) {
  const against = w("notSet", w.dial(found.dial));
  const more = (name, text) => {
    const change = here[name] - set[name];
    return Math.abs(change) < 1e-9 ? null : `${signed(change, text(change))} ${against}`;
  };
  return [
    tile(w("thresholdShort"), score(threshold)),
    tile(w("deepCalls"), percent(here.deep_share), more("deep_share", pointsOf), "deep"),
    tile(w("quality"), percent(here.quality), more("quality", pointsOf)),
    found.priced ? tile(w("per1000"), dollars(here.dollars_per_1000), more("dollars_per_1000", dollars)) : null,
  ].filter(Boolean);
}

// What moving costs and saves, in one sentence.
function sentence(found, here, set, notch) {
  if (notch === found.dial) return w("standing", w.dial(found.dial));
  const moved = (name, text) => signed(here[name] - set[name], text(here[name] - set[name]));
  const quality = moved("quality", pointsOf);
  if (!found.priced) return w("moveSaysShare", w.dial(found.dial), quality, moved("deep_share", pointsOf));
  return w("moveSays", w.dial(found.dial), quality, moved("dollars_per_1000", dollars));
}

function ownTraffic(found) {
  const { requests, notches } = found.recent;
  if (!notches.length) return h("section", { class: "card" }, h("p", { class: "soft" }, w("ownNone")));
  const most = Math.max(...notches.map((notch) => notch.cost_dollars ?? 0));
  const row = (notch) =>
    h(
      "tr",
      { class: notch.dial === found.dial ? "here" : "" },
      h(
        "th",
        { scope: "row" },
        w.dial(notch.dial),
        notch.dial === found.dial && h("span", { class: "chip" }, w("here")),
      ),
      h(
        "td",
        {},
        h("div", { class: "measure" }, bar(notch.deep_share, "deep"), h("b", {}, percent(notch.deep_share, 0))),
      ),
      most > 0 &&
        h(
          "td",
          {},
          h("div", { class: "measure" }, bar(notch.cost_dollars / most), h("b", {}, dollars(notch.cost_dollars))),
        ),
      h("td", { class: "n" }, percent(notch.quality)),
    );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, w("ownTraffic", whole(requests))),
    h(
      "div",
      { class: "scroll bare", tabindex: 0, role: "region", "aria-label": w("ownTraffic", whole(requests)) },
      h(
        "table",
        { class: "notches" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, w("dial")),
            h("th", { scope: "col" }, w("deepCalls")),
            most > 0 && h("th", { scope: "col" }, w("cost")),
            h("th", { scope: "col", class: "n" }, w("quality")),
          ),
        ),
        h("tbody", {}, notches.map(row)),
      ),
    ),
  );
}

function drawn(chart, found, points, here, set) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const x = (point) => (found.priced ? point.dollars_per_1000 : point.deep_share * 100);
  const marks = Object.values(found.thresholds).map((threshold) => ({
    ...interpolate(points, threshold),
    notch: true,
  }));
  const line = [...points, ...marks, { ...here, here: true }, { ...set, set: true }].sort((a, b) => x(a) - x(b));
  const only = (name) => line.map((point) => (point[name] ? point.quality * 100 : null));
  const [first, last] = [line[0], line.at(-1)];
  const mixed = line.map(
    (point) =>
      100 * (first.quality + (last.quality - first.quality) * ((x(point) - x(first)) / (x(last) - x(first) || 1))),
  );
  const font = `12px ${colour("--sans")}`;
  const axis = {
    stroke: colour("--soft"),
    font,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    labelFont: font,
  };
  const mark = (size, stroke, fill) => ({
    stroke,
    paths: () => null,
    points: { show: true, size, width: 2, stroke, fill },
  });
  return new uPlot(
    {
      width: Math.max(chart.clientWidth, 240),
      height: HIGH,
      legend: { show: false },
      padding: [12, 24, 0, 0],
      scales: { x: { time: false } },
      cursor: { show: false },
      axes: [
        {
          ...axis,
          grid: { show: false },
          label: w(found.priced ? "per1000" : "deepCalls"),
          size: 34,
          labelSize: 22,
          space: 70,
          values: (_, ticks) => ticks.map((tick) => (found.priced ? `$${tick.toFixed(2)}` : percent(tick / 100, 0))),
        },
        {
          ...axis,
          label: w("quality"),
          size: 50,
          labelSize: 24,
          values: (_, ticks) => ticks.map((tick) => percent(tick / 100, ticks.every(Number.isInteger) ? 0 : 1)),
        },
      ],
      series: [
        {},
        { stroke: colour("--deep"), width: 2.5, fill: colour("--deep-wash"), points: { show: false } },
        { stroke: colour("--soft"), width: 1.5, dash: [5, 5], points: { show: false } },
        mark(6, colour("--deep"), colour("--card")),
        mark(13, colour("--ink"), colour("--card")),
        mark(11, colour("--deep"), colour("--deep")),
      ],
    },
    [line.map(x), line.map((point) => point.quality * 100), mixed, only("notch"), only("set"), only("here")],
    chart,
  );
}

function interpolate(points, threshold) {
  const after = points.findIndex((point) => point.threshold >= threshold);
  if (after <= 0) return { ...points[after === 0 ? 0 : points.length - 1] };
  const low = points[after - 1],
    high = points[after];
  const share = (threshold - low.threshold) / (high.threshold - low.threshold || 1);
  return Object.fromEntries(
    Object.keys(low).map((name) => [name, low[name] === null ? null : low[name] + share * (high[name] - low[name])]),
  );
}
