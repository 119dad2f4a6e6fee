// Keys, and what they spend of their budgets.
import { call, get } from "../api.js";
import { chip, dollars, empty, fault, h, heading, say, table, whole } from "../page.js";
import { w } from "../words.js";
export async function show(view, { signal }) {
  const today = new Date().toISOString().slice(0, 10);
  const usage = (query) => get(`/admin/usage?${query}`, { signal }).catch((error) => (error.status === 404 ? null : Promise.reject(error)));
  const [{ keys }, spent, daily] = await Promise.all([get("/admin/keys", { signal }), usage("by=tenant,key"), usage(`by=key&from=${today}&to=${today}`)]);
  const of = (report, name) => report?.rows.filter((row) => row.key === name).reduce((sum, row) => sum + row.cost_dollars, 0) ?? 0;
  const again = () => show(view, { signal }).catch((error) => view.prepend(fault(error)));
  const dialog = document.getElementById("keys");
  const create = () => {
    const name = h("input", { required: true, pattern: "[A-Za-z0-9][A-Za-z0-9_.:/@\\-]*" }), tenant = h("input", { value: "default", required: true }), budget = h("input", { type: "number", min: 0, step: "any" });
    const wrong = h("div", {});
    const make = async (event) => {
      event.preventDefault();
      const limits = budget.value ? [{ window_s: 86400, dollars: Number(budget.value) }] : [];
      try {
        const made = await (await call("/admin/keys", { method: "POST", body: { name: name.value, tenant: tenant.value, ...(limits.length ? { limits } : {}) } })).json();
        dialog.replaceChildren(h("h2", { id: "keys-title" }, made.name), h("p", {}, w("token")), h("code", { class: "token mono", id: "token" }, made.key), h("button", { class: "main", type: "button", onclick: () => dialog.close() }, w("done")));
        again();
      } catch (error) { wrong.replaceChildren(fault(error)); }
    };
    dialog.replaceChildren(h("form", { onsubmit: make }, h("h2", { id: "keys-title" }, w("create")), wrong, h("label", {}, w("name"), name), h("label", {}, w("tenant"), tenant), h("label", {}, w("budget"), budget), h("p", { class: "small soft" }, w("createWarn")), h("div", { class: "row" }, h("button", { class: "main" }, w("create")), h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, w("cancel")))));
    dialog.showModal();
  };
  const rows = keys.map((key) => {
    const budget = key.limits?.find((limit) => limit.dollars)?.dollars;
    const fill = h("i");
    const share = budget ? Math.min(1, of(daily, key.name) / budget) : 0;
    fill.style.width = `${share * 100}%`;
    const revoke = async () => { if (!confirm(w("revokeSure", key.name))) return; try { await call(`/admin/keys/${encodeURIComponent(key.id)}`, { method: "DELETE" }); say(w("done")); again(); } catch (error) { view.prepend(fault(error)); } };
    return h("tr", {}, h("td", {}, h("b", {}, key.name)), h("td", {}, key.tenant), h("td", {}, chip(key.status, key.status === "active" ? "ok" : "")), h("td", { class: "n" }, dollars(of(spent, key.name))), h("td", {}, budget ? [h("div", { class: "meter" }, fill), h("span", { class: "small soft" }, `${dollars(of(daily, key.name))} ${w("ofBudget", dollars(budget))}`)] : "–"), h("td", {}, key.status === "active" ? h("button", { type: "button", class: "danger", onclick: revoke, "aria-label": `${w("revoke")} ${key.name}` }, w("revoke")) : ""));
  });
  const money = spent && h("section", {}, h("h2", {}, w("spending")), spent.rows.length ? table(w("spending"), [w("tenant"), w("key"), { n: w("requests") }, { n: w("spent") }, { n: w("saved") }], spent.rows.map((row) => h("tr", {}, h("td", {}, row.tenant), h("td", {}, row.key), h("td", { class: "n" }, whole(row.requests)), h("td", { class: "n" }, dollars(row.cost_dollars)), h("td", { class: "n" }, dollars(row.saved_dollars))))) : h("p", { class: "soft" }, w("ownNone")));
  view.replaceChildren(h("div", { class: "row spread" }, h("div", {}, heading(w("keysView"), w("keysLead"))), h("button", { class: "main", type: "button", id: "create", onclick: create }, w("create"))), rows.length ? table(w("keysView"), [w("name"), w("tenant"), w("status"), { n: w("spent") }, w("limits"), ""], rows) : empty(w("noKeys"), w("noKeysMore")), h("p", {}), money ?? h("p", { class: "soft" }, w("ledgerOff")));
}
