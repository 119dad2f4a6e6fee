// A prompt, the decision as it is typed, and both tiers' answers side by side.
import { call, events, get, keys, priceOf, pricesOf } from "../api.js";
import { rules, scale, signals, verdict, worth } from "../decision.js";
import { dollars, empty, fault, h, heading, say, seconds, segments, times, whole } from "../page.js";
import { w } from "../words.js";

const PAUSE_MS = 200;
const NOTCHES = ["cheap", "balanced", "quality", "max"];
const kept = { prompt: "", dial: null };

export async function show(view, { signal, about, askKeys }) {
  const prompt = h("textarea", {
    id: "prompt",
    "aria-label": w("prompt"),
    placeholder: w("promptHint"),
    value: kept.prompt,
  });
  const decision = h("section", { class: "card decision", "aria-live": "polite", "aria-label": w("decision") });
  const facts = h("section", { class: "card", id: "signals", hidden: true, "aria-label": w("signals") });
  const answers = h("div", { id: "answers" });
  const run = h("button", { class: "main", type: "button", id: "run", "aria-keyshortcuts": "Control+Enter" });
  const enter = () => h("button", { type: "button", onclick: askKeys }, w("enterKey"));
  const failed = (error) => fault(error, error.status === 401 && enter());
  const needsKey = about.needs_key && !keys.api;
  kept.dial ??= about.dial;
  let timer,
    asking = null,
    explaining = new AbortController();

  const explain = async () => {
    explaining.abort();
    explaining = new AbortController();
    kept.prompt = prompt.value;
    label();
    facts.hidden = facts.hidden || !kept.prompt.trim();
    if (needsKey) return decision.replaceChildren(empty(w("status401"), w("keyFirst"), enter()));
    if (!kept.prompt.trim()) return decision.replaceChildren(empty(w("waiting"), w("waitingMore")));
    decision.setAttribute("aria-busy", "true");
    try {
      const stop = AbortSignal.any([signal, explaining.signal]);
      const body = { model: "auto", messages: [{ role: "user", content: kept.prompt }] };
      const made = await get("/v1/route", {
        method: "POST",
        body,
        headers: { "x-thalamus-dial": kept.dial },
        signal: stop,
      });
      const prices = await pricesOf(made.targets, stop);
      decision.replaceChildren(
        ...[h("h2", { class: "unseen" }, w("decision")), verdict(made), scale(made), worth(made, prices), rules(made)]
          .flat()
          .filter(Boolean),
      );
      facts.replaceChildren(signals(made) || "");
      facts.hidden = !facts.firstElementChild;
    } catch (error) {
      if (error.name === "AbortError") return;
      decision.replaceChildren(failed(error));
    }
    decision.removeAttribute("aria-busy");
  };

  const ask = async () => {
    if (asking) return asking.abort();
    if (run.disabled) return;
    asking = new AbortController();
    const both = [answerOf("fast", failed), answerOf("deep", failed)];
    const vote = h("section", { class: "card vote", hidden: true });
    answers.replaceChildren(
      h(
        "div",
        { class: "grid two" },
        both.map((one) => one.element),
      ),
      vote,
    );
    label();
    answers.scrollIntoView({
      block: "nearest",
      behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
    });
    const stop = AbortSignal.any([signal, asking.signal]);
    const [fast, deep] = await Promise.all(both.map((one) => one.ask(prompt.value, stop)));
    asking = null;
    label();
    if (fast && deep) offerVote(vote, fast, deep);
  };
  const label = () => {
    run.replaceChildren(w(asking ? "stop" : "run"), asking ? "" : h("kbd", {}, "Ctrl ↵"));
    run.disabled = needsKey || (!asking && !prompt.value.trim());
  };

  const type = (text) => {
    prompt.value = text;
    explain();
    prompt.focus();
  };
  const dial = segments(
    w("dial"),
    [...new Set([...NOTCHES, about.dial])].map((name) => [name, w.dial(name)]),
    kept.dial,
    (name) => {
      kept.dial = name;
      explain();
    },
  );
  const examples = ["example1", "example2", "example3", "example4"].map((name) =>
    h("button", { class: "example", type: "button", onclick: () => type(w(name)) }, w(name)),
  );
  run.addEventListener("click", ask);
  prompt.addEventListener("input", () => {
    label();
    clearTimeout(timer);
    timer = setTimeout(explain, PAUSE_MS);
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) ask();
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
  view.replaceChildren(
    heading(w("playgroundView"), w("playgroundLead")),
    h(
      "div",
      { class: "grid ask" },
      h(
        "div",
        { class: "composing" },
        h("section", { class: "card composer" }, prompt, h("div", { class: "row spread" }, dial.element, run)),
        h("div", { class: "examples" }, h("span", { class: "soft small" }, w("examples")), examples),
      ),
      decision,
      facts,
    ),
    answers,
  );
  await explain();
}

// One tier's column: who answers, the thinking, the answer, and what it took.
function answerOf(tier, failed) {
  const who = h("span", { class: "soft small" });
  const thought = h("div", {
    class: "thought",
    tabindex: 0,
    role: "region",
    "aria-label": `${w("thinking")}: ${w.tier(tier)}`,
  });
  const summary = h("summary", {}, w("thinkingNow"));
  const thinking = h("details", { class: "thinking", open: true, hidden: true }, summary, thought);
  const text = h(
    "div",
    { class: "text", tabindex: 0, role: "region", "aria-label": w.tier(tier) },
    h("span", { class: "soft" }, w("asking")),
  );
  const figures = h("dl", { class: "figures" });
  const element = h(
    "section",
    { class: `card answer ${tier}`, "data-tier": tier, "aria-busy": "true" },
    h("header", { class: "row spread" }, h("h2", {}, h("span", { class: `dot ${tier}` }), w.tier(tier)), who),
    thinking,
    text,
    figures,
  );
  const put = (name, value, more) => h("div", {}, h("dt", {}, name), h("dd", {}, value, more && h("small", {}, more)));

  const ask = async (content, signal) => {
    const began = performance.now();
    const since = () => (performance.now() - began) / 1000;
    const seen = { first: null, answered: null, said: "", thought: "", usage: null, cost: undefined };
    const tell = () => {
      const spent = seen.usage?.completion_tokens_details?.reasoning_tokens;
      figures.replaceChildren(
        put(w("time"), seconds(since())),
        put(w("firstToken"), seconds(seen.first)),
        put(w("tokens"), whole(seen.usage?.completion_tokens), spent ? w("thinkingTokens", whole(spent)) : ""),
        put(w("cost"), seen.cost === null ? w("unpriced") : dollars(seen.cost)),
      );
    };
    const ticking = setInterval(tell, 100);
    tell();
    try {
      const body = {
        model: "auto",
        stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: "user", content }],
      };
      const reply = await call("/v1/chat/completions", {
        method: "POST",
        signal,
        headers: { "x-thalamus-route": tier },
        body,
      });
      const backend = reply.headers.get("x-thalamus-backend"),
        effort = reply.headers.get("x-thalamus-effort");
      who.textContent = [backend, effort && w("effort", effort)].filter(Boolean).join(" · ");
      for await (const event of events(reply)) {
        if (event.error) throw new Error(event.error.message);
        seen.usage = event.usage ?? seen.usage;
        follow(event.choices?.[0]?.delta ?? {}, seen, since);
        if (seen.thought) {
          thinking.hidden = false;
          append(thought, seen.thought);
        }
        if (seen.said) append(text, seen.said);
        if (seen.thought && seen.answered) summary.textContent = w("thoughtFor", seconds(seen.answered - seen.first));
      }
      if (!seen.said) text.replaceChildren(h("span", { class: "soft" }, w("noAnswer")));
      const took = since();
      seen.cost = costOf(await priceOf(backend, signal), seen.usage);
      clearInterval(ticking);
      tell();
      figures.querySelector("dd").textContent = seconds(took);
      return { id: reply.headers.get("x-thalamus-decision-id"), took, cost: seen.cost };
    } catch (error) {
      clearInterval(ticking);
      if (thinking.hidden === false && !seen.answered) summary.textContent = w("thinking");
      if (error.name === "AbortError") text.replaceChildren(seen.said, h("p", { class: "soft stopped" }, w("stopped")));
      else text.replaceChildren(seen.said, failed(error));
      if (seen.first === null) figures.replaceChildren();
      return null;
    } finally {
      element.removeAttribute("aria-busy");
    }
  };
  return { element, ask };
}

function follow(delta, seen, since) {
  const more = delta.reasoning_content ?? delta.reasoning ?? "";
  if ((more || delta.content) && seen.first === null) seen.first = since();
  if (delta.content && seen.answered === null) seen.answered = since();
  seen.thought += more;
  seen.said += delta.content ?? "";
}

// Keeps to the end while it grows, unless the reader has scrolled up.
function append(place, text) {
  if (place.textContent === text) return;
  const following = place.scrollHeight - place.scrollTop - place.clientHeight < 24;
  place.textContent = text;
  if (following) place.scrollTop = place.scrollHeight;
}

function costOf(price, usage) {
  if (!price || !usage) return null;
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  return (
    ((usage.prompt_tokens - cached) * price.input + cached * price.cached + usage.completion_tokens * price.output) /
    1e6
  );
}

function offerVote(place, fast, deep) {
  const give = (better) => async () => {
    try {
      await call("/v1/feedback", { method: "POST", body: { decision_id: fast.id, better } });
      place.replaceChildren(h("strong", { id: "thanks" }, w("thanks")));
      say(w("thanks"));
    } catch (error) {
      place.append(fault(error));
    }
  };
  const button = (better, text) => h("button", { type: "button", id: `vote-${better}`, onclick: give(better) }, text);
  const time = times(deep.took / fast.took);
  const compared =
    fast.cost && deep.cost !== null ? w("compared", time, times(deep.cost / fast.cost)) : w("comparedTime", time);
  place.replaceChildren(
    h("div", {}, h("h2", {}, w("whichBetter")), h("p", { class: "soft small" }, `${compared} ${w("voteMore")}`)),
    h(
      "div",
      { class: "row" },
      button("fast", w("fastBetter")),
      button("same", w("same")),
      button("deep", w("deepBetter")),
    ),
  );
  place.hidden = false;
}
