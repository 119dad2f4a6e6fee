// What the cache has kept and given, and erasing a tenant.
import { call, get } from "../api.js";
import { bar, bytes, confirmed, empty, fault, h, heading, percent, say, tile, whole } from "../page.js";
import { w } from "../words.js";

export async function show(view, { signal }) {
  const found = await get("/admin/cache", { signal });
  const again = () => show(view, { signal });
  view.replaceChildren(
    heading(w("cacheView"), w("cacheLead")),
    found.mode === "off"
      ? h("div", { class: "card" }, empty(w("cacheOff"), w("cacheOffMore")))
      : h("div", { class: "tiles" }, figuresOf(found)),
    h("div", { class: "grid two" }, outcomes(found.counts), eraser(again)),
  );
}

function figuresOf(found) {
  const hits = Object.entries(found.counts)
    .filter(([name]) => name.startsWith("hit"))
    .reduce((sum, [, count]) => sum + count, 0);
  const looked = hits + (found.counts.miss ?? 0);
  const where = w(found.place === "redis" ? "inRedis" : "inProcess");
  return [
    tile(w("hitRate"), looked ? percent(hits / looked) : "–", w("hitsOf", whole(hits), whole(looked))),
    found.held && tile(w("held"), bytes(found.held.bytes), w("entries", whole(found.held.entries))),
    tile(w("ttl"), w("minutes", whole(found.ttl_s / 60))),
    tile(w("mode"), found.mode, where),
  ].filter(Boolean);
}

function outcomes(counts) {
  const all = Object.entries(counts).sort(([, a], [, b]) => b - a);
  const most = Math.max(1, ...all.map(([, count]) => count));
  const row = ([name, count]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: name }, w.cache(name)),
      h("td", {}, bar(count / most, name.startsWith("hit") ? "fast" : "")),
      h("td", { class: "n" }, whole(count)),
    );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, w("outcomes")),
    all.length
      ? h("table", { class: "bars" }, h("tbody", {}, all.map(row)))
      : h("p", { class: "soft" }, w("outcomesNone")),
  );
}

function eraser(again) {
  const tenant = h("input", { required: true, id: "tenant", autocomplete: "off" });
  const told = h("div", { id: "erased", "aria-live": "polite" });
  const erase = async (event) => {
    event.preventDefault();
    if (!(await confirmed(w("eraseSure", tenant.value), w("eraseSureMore"), w("eraseDo")))) return;
    try {
      const { erased } = await (
        await call(`/admin/tenants/${encodeURIComponent(tenant.value)}`, { method: "DELETE" })
      ).json();
      const gone = Object.entries(erased)
        .filter(([, count]) => count)
        .map(([what, count]) => `${what} ${whole(count)}`);
      await again();
      say(gone.length ? w("erased", gone.join(", ")) : w("erasedNothing"));
    } catch (error) {
      told.replaceChildren(fault(error));
    }
  };
  return h(
    "section",
    { class: "card" },
    h("h2", {}, w("erase")),
    h("p", { class: "soft" }, w("eraseMore")),
    told,
    h(
      "form",
      { class: "row", onsubmit: erase },
      h("label", {}, w("tenant"), tenant),
      h("button", { class: "danger" }, w("eraseDo")),
    ),
  );
}
