// A decision explains itself: where it stands on the scale, what thinking is worth, each rule, each signal.
import { bar, chip, dollars, facts, h, percent, score, tierOf, times, whole } from "./page.js";
import { w } from "./words.js";

export const ANSWER_TOKENS = 300; // as the dial's curve assumes

// One sentence for why.
export function reasonOf(made) {
  if (made.reason !== "difficulty") return w.why(made.reason);
  return w.why(tierOf(made.tier), score(made.difficulty), score(made.threshold), w.dial(made.dial));
}

export function verdict(made) {
  const tier = tierOf(made.tier),
    first = made.targets[0];
  return [
    h(
      "div",
      { class: "verdict" },
      h(
        "strong",
        { class: tier, id: "tier", "data-tier": made.tier ?? "" },
        made.tier ? w.tier(made.tier) : first.backend,
      ),
      h(
        "span",
        { class: "soft" },
        `${w("goesTo")} `,
        h("b", {}, first.backend),
        ` · ${first.effort ? w("effort", first.effort) : w("byDefault")}`,
      ),
      h("span", { class: "chips" }, made.kind && chip(w.kind(made.kind)), chip(w.reason(made.reason), "", made.reason)),
    ),
    h("p", { class: "why" }, reasonOf(made)),
  ];
}

// Difficulty between 0 and 1, and the threshold that parts the fast side from the deep one.
export function scale(made) {
  if (made.difficulty === null) return null;
  const at = (value) => ({ left: `${value * 100}%` });
  const parted = made.threshold !== null;
  const label = `${w("difficulty")} ${score(made.difficulty)}${parted ? `, ${w("threshold")} ${score(made.threshold)}` : ""}`;
  return h(
    "div",
    { class: `scale ${tierOf(made.tier)}` },
    h(
      "div",
      { class: parted ? "track" : "track plain", role: "img", "aria-label": label },
      parted && h("i", { class: "deep-side", size: at(made.threshold) }),
      parted && h("i", { class: "edge", size: at(made.threshold) }),
      h("b", { size: at(made.difficulty) }),
    ),
    h(
      "div",
      { class: "row spread small" },
      h("span", { class: "soft" }, `${w("difficulty")} `, h("b", { id: "difficulty" }, score(made.difficulty))),
      parted && h("span", { class: "soft" }, `${w("threshold")} `, h("b", {}, score(made.threshold))),
    ),
  );
}

// What the deep tier is expected to gain, against what it costs.
export function worth(made, prices) {
  if (made.p_fast === null || made.p_deep === null) return null;
  const cost = (tier, thinking) => {
    const target = made.targets.find((one) => one.tier === tier);
    const price = target && prices.get(target.backend);
    const prompt = made.signals["prompt tokens"]?.value ?? 0;
    return price ? (prompt * price.input + (ANSWER_TOKENS + thinking) * price.output) / 1e6 : null;
  };
  const fast = cost("fast", 0),
    deep = cost("deep", made.thinking_tokens ?? 0),
    priced = fast !== null || deep !== null;
  const row = (tier, right, thinking, spent) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("span", { class: `dot ${tier}` }), w.tier(tier)),
      h("td", {}, h("div", { class: "measure" }, bar(right, tier), h("b", {}, percent(right, 0)))),
      h("td", { class: "n" }, thinking),
      priced && h("td", { class: "n" }, dollars(spent)),
    );
  return h(
    "section",
    {},
    h("h3", {}, w("worth")),
    h(
      "table",
      { class: "worth" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", {}),
          h("th", { scope: "col" }, w("rightAnswer")),
          h("th", { scope: "col", class: "n" }, w("thinkingExpected")),
          priced && h("th", { scope: "col", class: "n" }, w("costExpected")),
        ),
      ),
      h(
        "tbody",
        {},
        row("fast", made.p_fast, w("notThinking"), fast),
        row("deep", made.p_deep, w("tokensOf", whole(made.thinking_tokens)), deep),
      ),
    ),
    h("p", { class: "why", title: w("worthNote", ANSWER_TOKENS) }, balance(made.p_deep - made.p_fast, fast, deep)),
  );
}

function balance(gain, fast, deep) {
  if (gain < 0.005) return w("worthNothing");
  const points = Math.round(gain * 100) === 1 ? w("point") : w("points", whole(gain * 100));
  if (fast === null || deep === null) return w("worthUnpriced", points);
  return fast > 0
    ? w("worthIt", points, dollars(deep - fast), times(deep / fast))
    : w("worthItFree", points, dollars(deep - fast));
}

export function rules(made) {
  const step = (one) =>
    h(
      "li",
      { class: one.did === "leaves the choice" && "passed" },
      h("b", {}, w.rule(one.rule)),
      h("span", {}, w.told(one.saw), h("span", { class: "did" }, ` → ${w.told(one.did)}`)),
    );
  const others = made.targets.slice(1).map((one) => `${one.backend} (${w.tier(one.tier)})`);
  return h(
    "section",
    {},
    h("h3", {}, w("rules")),
    h("ol", { class: "steps" }, made.steps.map(step)),
    facts([
      [w("runnerUp"), w.told(made.runner_up)],
      [w("fallbacks"), [...new Set(others)].join(", ")],
    ]),
  );
}

export function signals(made) {
  const found = Object.entries(made.signals).filter(
    ([name, { value, note }]) => value !== null || (note && name !== "conversation"),
  );
  const row = ([name, { value, note }]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, w.signal(name)),
      h("td", {}, name === "complexity" ? score(made.difficulty) : spoken(name, value)),
      h("td", { class: "soft" }, w.told(note)),
    );
  return (
    found.length &&
    h("section", {}, h("h3", {}, w("signals")), h("table", { class: "signals" }, h("tbody", {}, found.map(row))))
  );
}

function spoken(name, value) {
  if (value === null) return "–";
  if (typeof value === "boolean") return w(value ? "yes" : "no");
  if (name === "conversation type") return w.kind(value);
  if (typeof value === "number") return whole(value);
  if (name === "modality") return w.told(value);
  if (name === "explicit intent") return w(`intent_${value}`);
  return value;
}
