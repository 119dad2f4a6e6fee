// What the cache has kept and given, and erasing a tenant.
import { call, get } from "../api.js";
import { empty, fault, h, heading, percent, say, whole } from "../page.js";
import { w } from "../words.js";
export async function show(view, { signal }) {
  const found = await get("/admin/cache", { signal });
  const hits = Object.entries(found.counts).filter(([name]) => name.startsWith("hit")).reduce((sum, [, count]) => sum + count, 0);
  const looked = hits + (found.counts.miss ?? 0);
  const tile = (name, value, more = "") => h("div", { class: "tile" }, h("span", {}, name), h("b", {}, value), h("span", {}, more));
  const tenant = h("input", { required: true });
  const erase = async (event) => {
    event.preventDefault();
    if (!confirm(w("eraseSure", tenant.value))) return;
    try { const { erased } = await (await call(`/admin/tenants/${encodeURIComponent(tenant.value)}`, { method: "DELETE" })).json(); say(`${w("erased")}: ${Object.entries(erased).map(([what, count]) => `${what} ${count}`).join(", ")}`); await show(view, { signal }); } catch (error) { view.prepend(fault(error)); }
  };
  view.replaceChildren(...heading(w("cache"), w("cacheLead")),
    found.mode === "off" ? h("div", {}, empty(w("cacheOff"), w("cacheOffMore")), h("p", {})) : h("div", { class: "tiles" }, tile(w("hitRate"), looked ? percent(hits / looked) : "–", `${whole(hits)} ${w("hits")}`), tile(w("held"), found.held ? `${whole(found.held.bytes / 1024)} KiB` : "Redis", found.held ? `${whole(found.held.entries)} ${w("entries")}` : ""), tile(w("ttl"), `${whole(found.ttl_s / 60)} min`), tile(w("mode"), found.mode, found.place)),
    h("div", { class: "tiles" }, Object.entries(found.counts).map(([name, count]) => tile(name, whole(count)))),
    h("section", { class: "card" }, h("h2", {}, w("erase")), h("p", { class: "small soft" }, w("eraseMore")), h("form", { class: "row", onsubmit: erase }, h("label", {}, w("tenant"), tenant), h("button", { class: "danger" }, w("eraseDo")))));
}
