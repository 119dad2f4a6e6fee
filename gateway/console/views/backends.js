// Every replica, and draining it.
import { call, get } from "../api.js";
import { chip, fault, h, heading, say, seconds, table, whole } from "../page.js";
import { w } from "../words.js";
const EVERY_MS = 3000;
export async function show(view, { signal }) {
  const place = h("div", { id: "replicas" });
  let fresh = await get("/admin/backends", { signal });
  const draw = () => {
    const rows = fresh.backends.flatMap((backend) => backend.replicas.map((replica) => {
      const drained = replica.condition.includes("drain");
      const set = async () => { try { await call(`/admin/backends/${backend.name}/${replica.name}/${drained ? "undrain" : "drain"}`, { method: "POST" }); say(w(drained ? "undrained" : "drained")); fresh = await get("/admin/backends", { signal }); draw(); } catch (error) { view.prepend(fault(error)); } };
      return h("tr", {}, h("td", {}, h("b", {}, backend.name)), h("td", { class: "mono" }, replica.name), h("td", {}, chip(replica.condition, drained ? "warn" : ["ready", "serving", "healthy", "well", "open", "ok", "up"].includes(replica.condition) ? "ok" : "warn")), h("td", {}, chip(replica.breaker, replica.breaker === "closed" ? "ok" : "bad")), h("td", { class: "n" }, `${whole(replica.in_flight)}${replica.limit ? ` / ${whole(replica.limit)}` : ""}`), h("td", { class: "n" }, whole(backend.waiting)), h("td", { class: "n" }, seconds(replica.slowness_s)), h("td", {}, h("button", { type: "button", onclick: set, "aria-label": `${w(drained ? "undrain" : "drain")} ${backend.name}/${replica.name}` }, w(drained ? "undrain" : "drain"))));
    }));
    place.replaceChildren(table(w("backends"), [w("target"), w("replica"), w("condition"), w("breaker"), { n: w("inFlight") }, { n: w("inLine") }, { n: w("slowness") }, ""], rows));
  };
  view.replaceChildren(...heading(w("backends"), w("backendsLead")), place);
  draw();
  const timer = setInterval(async () => { if (place.contains(document.activeElement)) return; try { fresh = await get("/admin/backends", { signal }); draw(); } catch { /* shown again when it answers */ } }, EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}
