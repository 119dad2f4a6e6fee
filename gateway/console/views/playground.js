// A prompt, the decision as it is typed, and both tiers' answers side by side.
import { call, events, get } from "../api.js";
import { chip, dollars, facts, fault, h, heading, say, score, seconds, steps, whole } from "../page.js";
import { w } from "../words.js";
const PAUSE_MS = 250;
let kept = "";
export async function show(view, { signal, about }) {
  const prompt = h("textarea", { id: "prompt", "aria-label": w("prompt"), placeholder: w("promptHint"), value: kept });
  const dial = h("select", {}, ["cheap", "balanced", "quality", "max"].map((name) => h("option", { value: name }, name)));
  dial.value = about.dial ?? "balanced";
  const decision = h("div", { class: "card", "aria-live": "polite" });
  const answers = h("div", {});
  const run = h("button", { class: "main", type: "button", id: "run" }, w("run"));
  let timer, explaining = new AbortController(), asking = null;
  const explain = async () => {
    explaining.abort();
    explaining = new AbortController();
    kept = prompt.value;
    run.disabled = !asking && !kept.trim();
    if (!kept.trim()) return decision.replaceChildren(h("h2", {}, w("decision")), h("p", { class: "soft" }, w("waiting")));
    try {
      const body = { model: "auto", messages: [{ role: "user", content: kept }] };
      const made = await get("/v1/route", { method: "POST", body, headers: { "x-thalamus-dial": dial.value }, signal: AbortSignal.any([signal, explaining.signal]) });
      decision.replaceChildren(...explained(made));
    } catch (error) { if (error.name !== "AbortError") decision.replaceChildren(h("h2", {}, w("decision")), fault(error)); }
  };
  prompt.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(explain, PAUSE_MS); });
  dial.addEventListener("change", explain);
  const ask = async () => {
    if (asking) return asking.abort();
    asking = new AbortController();
    run.textContent = w("stop");
    const both = [answer("fast"), answer("deep")];
    const vote = h("div", { class: "card vote", hidden: true });
    answers.replaceChildren(h("div", { class: "grid two" }, both.map((one) => one.element)), vote);
    const stop = AbortSignal.any([signal, asking.signal]);
    const ids = await Promise.all(both.map((one) => one.ask(prompt.value, stop)));
    asking = null;
    run.textContent = w("run");
    if (ids.every(Boolean)) offerVote(vote, ids[0]);
  };
  run.addEventListener("click", ask);
  prompt.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) ask(); });
  const examples = ["example1", "example2", "example3"].map((name) => h("button", { class: "quiet", type: "button", onclick: () => { prompt.value = w(name); explain(); prompt.focus(); } }, w(name)));
  view.replaceChildren(...heading(w("playground"), w("playgroundLead")),
    h("div", { class: "grid ask" }, h("section", { class: "card" }, prompt, h("div", { class: "row spread" }, h("label", {}, w("dialWord"), dial), run), h("h2", { class: "minor" }, w("examples")), h("div", { class: "row" }, examples)), decision), answers);
  await explain();
}
function explained(made) {
  const tier = made.tier ?? "";
  const deep = tier.startsWith("deep");
  const fill = h("i"), mark = h("b");
  fill.style.width = `${(made.difficulty ?? 0) * 100}%`;
  mark.style.left = `${(made.threshold ?? 0) * 100}%`;
  const first = made.targets[0];
  return [
    h("h2", {}, w("decision")),
    h("div", { class: "verdict" }, h("strong", { class: deep ? "deep" : "fast", id: "tier" }, tier ? w(deep ? "deep" : "fast") : first.backend), chip(made.kind, ""), chip(made.reason, "")),
    made.difficulty === null ? null : h("div", { class: `gauge ${deep ? "deep" : ""}`, role: "img", "aria-label": `${w("difficulty")} ${score(made.difficulty)}` }, fill, mark),
    h("div", { class: "row spread small soft" }, h("span", {}, `${w("difficulty")} `, h("b", { id: "difficulty" }, score(made.difficulty))), h("span", {}, `${w("goesDeep")} ${score(made.threshold)}`)),
    h("h3", {}, w("reasons")), steps(made.steps),
    h("details", {}, h("summary", {}, w("signals")), facts(Object.entries(made.signals).map(([name, { value, note }]) => [name, value === null ? null : `${value}${note ? ` · ${note}` : ""}`]))),
    h("details", {}, h("summary", {}, w("target")), facts([[w("target"), first.backend], [w("effort"), first.effort ?? w("default")], [w("runnerUp"), made.runner_up], [w("dialWord"), made.dial], ["p(fast)", score(made.p_fast)], ["p(deep)", score(made.p_deep)]])),
  ].filter(Boolean);
}
function answer(tier) {
  const text = h("div", { class: "text soft", tabindex: 0, role: "region", "aria-label": w(tier) }, w("asking"));
  const thinking = h("div", { class: "thinking", tabindex: 0, role: "region", "aria-label": `${w("thinking")}: ${w(tier)}`, hidden: true });
  const figures = h("div", { class: "figures" });
  const who = h("span", { class: "soft small" });
  const element = h("section", { class: `card answer ${tier}` }, h("div", { class: "row spread" }, h("h2", {}, w(tier)), who), thinking, text, figures);
  const put = (name, value) => h("span", {}, `${name} `, h("b", {}, value));
  const ask = async (content, signal) => {
    const started = performance.now();
    let first = null, usage = null, said = "", thought = "", id = null;
    const told = (done) => figures.replaceChildren(put(w("time"), seconds((performance.now() - started) / 1000)), first === null ? "" : put(w("firstToken"), seconds(first)), ...(usage ? [put(w("tokens"), whole(usage.completion_tokens)), put(w("thinkingTokens"), whole(usage.completion_tokens_details?.reasoning_tokens ?? 0))] : []), done ? put(w("cost"), cost === null ? w("unpriced") : dollars(cost)) : "");
    let cost = null;
    try {
      const reply = await call("/v1/chat/completions", { method: "POST", signal, headers: { "x-thalamus-route": tier }, body: { model: "auto", stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content }] } });
      id = reply.headers.get("x-thalamus-decision-id");
      who.textContent = [reply.headers.get("x-thalamus-backend"), reply.headers.get("x-thalamus-effort")].filter(Boolean).join(" · ");
      for await (const event of events(reply)) {
        if (event.error) throw new Error(event.error.message);
        usage = event.usage ?? usage;
        const delta = event.choices?.[0]?.delta ?? {};
        const more = delta.reasoning_content ?? delta.reasoning;
        if ((more || delta.content) && first === null) first = (performance.now() - started) / 1000;
        if (more) { thought += more; thinking.hidden = false; thinking.textContent = thought; }
        if (delta.content) { said += delta.content; text.classList.remove("soft"); text.textContent = said; }
        told(false);
      }
      if (!said) text.textContent = w("noAnswer");
      cost = await costOf(reply.headers.get("x-thalamus-backend"), usage, signal);
      told(true);
      return id;
    } catch (error) { if (error.name === "AbortError") text.textContent = said || w("noAnswer"); else text.replaceChildren(fault(error)); return null; }
  };
  return { element, ask };
}
const prices = new Map();
async function costOf(backend, usage, signal) {
  if (!usage) return null;
  if (!prices.has(backend)) prices.set(backend, (await get(`/v1/models/${backend}`, { signal })).thalamus?.price ?? null);
  const price = prices.get(backend);
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  return price && ((usage.prompt_tokens - cached) * price.input + cached * price.cached + usage.completion_tokens * price.output) / 1e6;
}
function offerVote(place, decisionId) {
  const give = (better) => async () => { try { await call("/v1/feedback", { method: "POST", body: { decision_id: decisionId, better } }); place.replaceChildren(h("p", { id: "thanks" }, w("thanks"))); say(w("thanks")); } catch (error) { place.append(fault(error)); } };
  place.replaceChildren(h("h2", {}, w("whichBetter")), h("div", { class: "row" }, h("button", { type: "button", id: "vote-fast", onclick: give("fast") }, w("fastBetter")), h("button", { type: "button", onclick: give("same") }, w("same")), h("button", { type: "button", id: "vote-deep", onclick: give("deep") }, w("deepBetter"))));
  place.hidden = false;
}
