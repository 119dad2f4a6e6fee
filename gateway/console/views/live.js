// The last decisions as they happen; one of them opened, and decided again under another dial.
import { call, events, get } from "../api.js";
import { chip, dollars, empty, facts, fault, h, heading, score, seconds, steps, table } from "../page.js";
import { w } from "../words.js";
const MOST = 200;
export async function show(view, { signal }) {
  const { decisions, content } = await get(`/admin/decisions?limit=${MOST}`, { signal });
  let list = decisions, paused = false;
  const place = h("div", { id: "decisions" });
  const search = h("input", { type: "search", placeholder: w("searchHint") });
  const tier = h("select", {}, ["", "fast", "deep"].map((name) => h("option", { value: name }, name ? w(name) : w("all"))));
  const state = h("span", { class: "chip ok" }, h("i", { class: "pulse" }), w("watching"));
  const pause = h("button", { type: "button", onclick: () => { paused = !paused; pause.textContent = w(paused ? "resume" : "pause"); state.lastChild.textContent = w(paused ? "paused" : "watching"); draw(); } }, w("pause"));
  const fits = (one) => (!tier.value || one.tier?.startsWith(tier.value)) && JSON.stringify([one.backend, one.tenant, one.key, one.reason, one.kind, one.outcome, one.prompt, one.id]).toLowerCase().includes(search.value.toLowerCase());
  const draw = () => {
    if (paused) return;
    const found = list.filter(fits);
    if (!found.length) return place.replaceChildren(list.length ? empty(w("nothingFits"), "") : empty(w("nothingYet"), w("nothingYetMore")));
    const rows = found.slice(0, 100).map((one) => h("tr", { "data-id": one.id }, h("td", { class: "mono" }, new Date(one.at).toLocaleTimeString()), h("td", {}, chip(one.tier ?? "–")), h("td", {}, h("button", { class: "link", type: "button", onclick: () => open(one) }, one.backend)), h("td", { class: "n" }, score(one.difficulty)), h("td", {}, one.kind ?? "–"), h("td", {}, one.reason), h("td", {}, one.tenant), h("td", { class: "n" }, seconds(one.total_s)), h("td", { class: "n" }, dollars(one.cost)), h("td", {}, chip(one.outcome, one.outcome === "done" ? "ok" : "bad"))));
    place.replaceChildren(table(w("live"), [w("when"), w("tier"), w("target"), { n: w("difficulty") }, w("kind"), w("reason"), w("tenant"), { n: w("time") }, { n: w("cost") }, w("outcome")], rows));
  };
  search.addEventListener("input", draw);
  tier.addEventListener("change", draw);
  const dialog = document.getElementById("keys");
  const open = (one) => {
    const outcome = h("p", { id: "replayed", "aria-live": "polite" });
    const replay = (dial) => async () => {
      try {
        const found = await get(`/admin/decisions/${encodeURIComponent(one.id)}/replay?dial=${dial}`, { method: "POST", signal });
        outcome.replaceChildren(found.target ? `${dial}: ${w(found.changed ? "becomes" : "stays")} ` : w("nobody"), found.target ? h("b", {}, found.target.backend) : "", found.target ? ` ${found.target.tier ?? ""} (${found.reason}, ${w("threshold")} ${score(found.threshold)})` : "");
      } catch (error) { outcome.replaceChildren(fault(error)); }
    };
    dialog.classList.add("wide");
    dialog.replaceChildren(h("div", { class: "row spread" }, h("h2", { id: "keys-title" }, one.backend, " ", chip(one.tier ?? "–")), h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, w("close"))),
      one.prompt ? h("p", { class: "token" }, one.prompt) : h("p", { class: "small soft" }, w("noPrompts")),
      facts([["id", h("span", { class: "mono" }, one.id)], [w("difficulty"), `${score(one.difficulty)} · ${w("threshold")} ${score(one.threshold)}`], [w("effort"), one.effort], [w("dialWord"), one.dial], [w("tenant"), `${one.tenant} · ${one.key}`], [w("firstToken"), one.first_token_s === null ? null : seconds(one.first_token_s)], [w("cost"), `${dollars(one.cost)} · ${w("saved")} ${dollars(one.saved)}`], [w("attempts"), one.attempts.map((each) => `${each.backend} ${each.result}`).join(", ")]]),
      h("h3", {}, w("reasons")), steps(one.steps), h("h3", {}, w("replayUnder")), h("div", { class: "row" }, ["cheap", "balanced", "quality", "max"].map((dial) => h("button", { type: "button", "data-dial": dial, onclick: replay(dial) }, dial))), outcome);
    dialog.addEventListener("close", () => dialog.classList.remove("wide"), { once: true });
    dialog.showModal();
  };
  view.replaceChildren(...heading(w("live"), `${w("liveLead")} ${content ? "" : w("noPrompts")}`), h("div", { class: "row filters" }, h("label", {}, w("search"), search), h("label", {}, w("tier"), tier), pause, state), place);
  draw();
  (async () => {
    while (!signal.aborted) {
      try { for await (const one of events(await call("/admin/decisions/stream", { signal }))) { list = [one, ...list.filter((known) => known.id !== one.id)].slice(0, MOST); draw(); } } catch { /* the gateway went away: come back after a pause */ }
      if (!signal.aborted) await new Promise((done) => setTimeout(done, 2000));
    }
  })();
}
