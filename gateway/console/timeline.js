// Difficulty of decisions in their order: one dot each, the threshold as a line; a dot opens its decision.
import { clock, h, score, svg, tierOf } from "./page.js";
import { w } from "./words.js";

const WIDE = 1000,
  HIGH = 120,
  EDGE = 6;

export function timeline(decisions, label, open) {
  const shown = decisions.filter((one) => one.difficulty !== null);
  const x = (at) => (shown.length === 1 ? WIDE / 2 : EDGE + (at / (shown.length - 1)) * (WIDE - 2 * EDGE));
  const y = (value) => EDGE + (1 - value) * (HIGH - 2 * EDGE);
  const steps = shown.map((one, at) => [x(at), one.threshold]).filter(([, value]) => value !== null);
  const edge = steps
    .map(([across, value], at) => `${at ? "L" : "M"}${across.toFixed(1)} ${y(value).toFixed(1)}`)
    .join("");
  const dots = shown.map((one, at) =>
    h("i", {
      class: `spot ${tierOf(one.tier)}`,
      title: `${clock(one.at)} · ${one.backend} · ${score(one.difficulty)}`,
      size: { left: `${(x(at) / WIDE) * 100}%`, top: `${(y(one.difficulty) / HIGH) * 100}%` },
      onclick: () => open(one),
    }),
  );
  return h(
    "figure",
    { class: "timeline" },
    h(
      "figcaption",
      { class: "row spread small soft" },
      label,
      h(
        "span",
        { class: "row legend" },
        h("span", { class: "dot fast" }),
        w.tier("fast"),
        h("span", { class: "dot deep" }),
        w.tier("deep"),
        h("i", { class: "dash" }),
        w("thresholdShort"),
      ),
    ),
    h(
      "div",
      { class: "plot", role: "img", "aria-label": label },
      svg(
        "svg",
        { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("path", { d: edge, class: "edge" }),
      ),
      dots,
      h("span", { class: "mark" }, w("hard")),
      h("span", { class: "mark low" }, w("easy")),
    ),
  );
}
