// The last decisions as they happen; one of them opened, and decided again under every dial.
import { call, events, get, keys, pricesOf } from "../api.js";
import { rules, scale, signals, verdict, worth } from "../decision.js";
import {
  chip,
  choice,
  clock,
  dollars,
  empty,
  facts,
  fault,
  h,
  heading,
  openDialog,
  percent,
  score,
  seconds,
  table,
  tierChip,
  tierOf,
  tile,
  whole,
} from "../page.js";
import { timeline } from "../timeline.js";
import { w } from "../words.js";

const MOST = 300,
  ROWS = 100,
  NOTCHES = ["cheap", "balanced", "quality", "max"];
const RETRY_MS = [1000, 2000, 5000, 10_000];

export async function show(view, { signal, about }) {
  let { decisions: list, content } = await get(`/admin/decisions?limit=${MOST}`, { signal });
  let paused = false,
    missed = 0,
    connected = true;
  const summary = h("div", { class: "tiles" });
  const strip = h("div", { class: "card strip" });
  const place = h("div", { id: "decisions" });
  const state = h("span", { id: "state", role: "status" });
  const search = h("input", { type: "search", placeholder: w("searchHint"), "aria-label": w("search") });
  const filters = {
    tier: choice(
      [
        ["", w("all")],
        ["fast", w.tier("fast")],
        ["deep", w.tier("deep")],
      ],
      "",
      { id: "by-tier" },
    ),
    reason: choice([["", w("all")]], "", { id: "by-reason" }),
    kind: choice([["", w("all")]], "", { id: "by-kind" }),
  };
  const pause = h("button", { type: "button", id: "pause" });

  const fits = (one) =>
    (!filters.tier.value || tierOf(one.tier) === filters.tier.value) &&
    ["reason", "kind"].every((name) => !filters[name].value || one[name] === filters[name].value) &&
    [one.backend, one.tenant, one.key, one.prompt, one.id, one.outcome]
      .join("\n")
      .toLowerCase()
      .includes(search.value.trim().toLowerCase());

  const draw = () => {
    const found = list.filter(fits);
    offer(
      filters.reason,
      list.map((one) => one.reason),
      w.reason,
    );
    offer(filters.kind, list.map((one) => one.kind).filter(Boolean), w.kind);
    summary.replaceChildren(...figuresOf(found, list.length));
    strip.hidden = !found.some((one) => one.difficulty !== null);
    strip.replaceChildren(timeline(found.slice(0, 150).reverse(), w("timeline"), open));
    place.replaceChildren(found.length ? tableOf(found.slice(0, ROWS), open) : h("div", { class: "card" }, nothing()));
  };
  const nothing = () =>
    list.length
      ? empty(w("nothingFits"), null, h("button", { type: "button", onclick: clear }, w("clear")))
      : empty(
          w("nothingYet"),
          w("nothingYetMore"),
          h("a", { href: "#playground", class: "button" }, w("playgroundView")),
        );
  const clear = () => {
    search.value = "";
    for (const one of Object.values(filters)) one.value = "";
    draw();
  };
  const tell = () => {
    const [word, kind] = !connected ? ["reconnecting", "warn"] : paused ? ["paused", ""] : ["watching", "ok"];
    state.className = `chip ${kind}`;
    state.replaceChildren(h("i", { class: word === "paused" ? "still" : "pulse" }), w(word));
    pause.textContent = !paused ? w("pause") : missed ? w("resumeNew", missed) : w("resume");
  };
  const soon = paced(draw, signal);
  const open = (one) => openOne(one, about, signal);
  const take = (one) => {
    list = [one, ...list.filter((known) => known.id !== one.id)].slice(0, MOST);
    if (paused) missed += 1;
    else soon();
    tell();
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    missed = 0;
    tell();
    draw();
  });
  for (const one of Object.values(filters)) one.addEventListener("change", draw);
  search.addEventListener("input", draw);
  view.replaceChildren(
    heading(w("liveView"), `${w("liveLead")} ${content ? "" : w("noPrompts")}`, state, pause),
    summary,
    strip,
    h(
      "div",
      { class: "row filters" },
      search,
      ["tier", "reason", "kind"].map((name) => h("label", { class: "inline" }, w(name), filters[name])),
    ),
    place,
  );
  tell();
  draw();
  follow(signal, take, async (is) => {
    if (is && !connected) {
      ({ decisions: list } = await get(`/admin/decisions?limit=${MOST}`, { signal }));
      if (!paused) draw();
    }
    connected = is;
    tell();
  });
}

// Watches for ever: when the stream ends it comes back, later each time, and fetches what was missed.
async function follow(signal, take, connected) {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const stream = await call("/admin/decisions/stream", { signal });
      await connected(true);
      failures = 0;
      for await (const one of events(stream)) take(one);
    } catch {
      /* the gateway went away, or the view was left */
    }
    if (signal.aborted) return;
    await connected(false);
    await new Promise((done) => setTimeout(done, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
  }
}

// Many events are one picture: draws at most four times a second.
function paced(draw, signal) {
  let waiting = null;
  return () => {
    waiting ??= setTimeout(() => {
      waiting = null;
      if (!signal.aborted) draw();
    }, 250);
  };
}

function offer(select, names, word) {
  const known = new Set([...select.options].map((one) => one.value));
  for (const name of new Set(names)) if (!known.has(name)) select.append(h("option", { value: name }, word(name)));
}

function figuresOf(found, all) {
  const sum = (name) => found.reduce((total, one) => total + (one[name] ?? 0), 0);
  const firsts = found
    .map((one) => one.first_token_s ?? null)
    .filter((value) => value !== null)
    .sort((a, b) => a - b);
  const deep = found.filter((one) => tierOf(one.tier) === "deep").length;
  return [
    tile(
      w("decisions"),
      whole(found.length),
      found.length < all ? w("shownOf", whole(found.length), whole(all)) : null,
    ),
    tile(w("deepShare"), found.length ? percent(deep / found.length, 0) : "–", null, "deep"),
    tile(w("medianFirst"), seconds(firsts.length ? firsts[Math.floor((firsts.length - 1) / 2)] : null)),
    tile(w("spent"), dollars(sum("cost")), sum("saved") > 0 ? w("saved", dollars(sum("saved"))) : null),
  ];
}

function tableOf(found, open) {
  const row = (one) =>
    h(
      "tr",
      { "data-id": one.id, class: "opens", onclick: () => open(one) },
      h("td", { class: "mono soft" }, clock(one.at)),
      h("td", {}, tierChip(one.tier)),
      h("td", {}, h("button", { class: "link", type: "button", "aria-label": w("open", one.backend) }, one.backend)),
      h("td", { class: "n" }, score(one.difficulty)),
      h("td", {}, w.kind(one.kind)),
      h("td", { title: one.reason }, w.reason(one.reason)),
      h("td", { class: "long" }, one.tenant),
      h("td", { class: "n" }, seconds(one.total_s)),
      h("td", { class: "n" }, dollars(one.cost)),
      h(
        "td",
        {},
        chip(
          w.outcome(one.outcome),
          one.outcome === "done" ? "ok" : one.outcome === "failed" ? "bad" : "warn",
          one.error,
        ),
      ),
    );
  return table(
    w("liveView"),
    [
      w("when"),
      w("tier"),
      w("backend"),
      { n: w("difficulty") },
      w("kind"),
      w("reason"),
      w("tenant"),
      { n: w("total") },
      { n: w("cost") },
      w("outcome"),
    ],
    found.map(row),
  );
}

async function openOne(one, about, signal) {
  const prices = about.needs_key && !keys.api ? new Map() : await pricesOf(one.targets, signal);
  const replays = h("tbody", { id: "replays" });
  openDialog(
    `${one.backend} · ${clock(one.at)}`,
    [
      one.prompt && h("blockquote", {}, one.prompt),
      verdict({ ...one, targets: [one, ...one.targets.filter((each) => each.backend !== one.backend)] }),
      scale(one),
      worth(one, prices),
      rules(one),
      signals(one),
      h(
        "section",
        {},
        h("h3", {}, w("replay")),
        h(
          "table",
          { class: "worth" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "col" }, w("dial")),
              h("th", { scope: "col", class: "n" }, w("threshold")),
              h("th", { scope: "col" }, w("backend")),
              h("td", {}),
            ),
          ),
          replays,
        ),
      ),
      h("section", {}, h("h3", {}, w("served")), outcomeOf(one)),
    ],
    "drawer",
  );
  const rows = NOTCHES.map((dial) => h("tr", { "data-dial": dial }, h("th", { scope: "row" }, w.dial(dial))));
  replays.replaceChildren(...rows);
  await Promise.all(
    NOTCHES.map(async (dial, at) => {
      const path = `/admin/decisions/${encodeURIComponent(one.id)}/replay?dial=${dial}`;
      try {
        rows[at].append(...again(await get(path, { method: "POST", signal })));
      } catch (error) {
        if (error.name !== "AbortError") rows[at].append(h("td", { colspan: 3 }, fault(error)));
      }
    }),
  );
}

const again = (found) => [
  h("td", { class: "n" }, score(found.threshold)),
  h(
    "td",
    {},
    found.target ? [tierChip(found.target.tier), ` ${found.target.backend}`] : (found.refusal ?? w("nobody")),
  ),
  h("td", { class: found.changed ? "warn" : "soft" }, found.changed ? w("wouldChange") : w("asIs")),
];

function outcomeOf(one) {
  const tokens =
    one.tokens &&
    Object.entries(one.tokens)
      .filter(([, count]) => count)
      .map(([name, count]) => `${name} ${whole(count)}`)
      .join(", ");
  return facts([
    [w("outcome"), [w.outcome(one.outcome), one.error && ` · ${one.error}`].filter(Boolean).join("")],
    [w("attempts"), one.attempts.map((each) => `${each.backend}: ${each.result}`).join(", ")],
    [w("firstToken"), one.first_token_s === null ? null : seconds(one.first_token_s)],
    [w("total"), seconds(one.total_s)],
    [w("gatewayTime"), `${one.gateway_ms} ms`],
    [w("tokens"), tokens],
    [w("cost"), dollars(one.cost)],
    [w("savedShort"), one.saved === null ? null : dollars(one.saved)],
    [w("cacheOf"), w.cache(one.cache)],
    [w("tenant"), `${one.tenant} · ${one.key ?? ""}`],
    [w("endpoint"), one.endpoint],
    ["ID", h("span", { class: "mono" }, one.id)],
  ]);
}
