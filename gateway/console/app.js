// The shell: which view is shown, in which language and theme, and with which keys.
import { get, keys, setKeys } from "./api.js";
import { empty, fault, h } from "./page.js";
import { language, setLanguage, w } from "./words.js";
import * as backends from "./views/backends.js";
import * as cache from "./views/cache.js";
import * as dial from "./views/dial.js";
import * as keysView from "./views/keys.js";
import * as live from "./views/live.js";
import * as playground from "./views/playground.js";
const views = { playground, live, dial, backends, keys: keysView, cache };
const titles = { keys: "keysView" };
const view = document.getElementById("view");
let leaving = new AbortController();
let about = {};
const prefers = matchMedia("(prefers-color-scheme: dark)");
const theme = () => localStorage.getItem("thalamus-theme") ?? (prefers.matches ? "dark" : "light");
function dress() {
  document.documentElement.dataset.theme = theme();
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  const at = shown();
  document.getElementById("nav").setAttribute("aria-label", w("views"));
  document.getElementById("nav").replaceChildren(...Object.keys(views).map((name) => h("a", { href: `#${name}`, "aria-current": name === at ? "page" : null }, w(titles[name] ?? name))));
  document.querySelector(".skip").textContent = w("skip");
  document.getElementById("language").textContent = language === "zh" ? "English" : "中文";
  document.getElementById("language").lang = language === "zh" ? "en" : "zh-CN";
  const other = theme() === "dark" ? "light" : "dark";
  document.getElementById("theme").textContent = w(`theme_${other}`);
  document.getElementById("key").textContent = w("keyButton");
  document.getElementById("bundle").textContent = about.bundle ?? "";
  document.title = `${w(titles[at] ?? at)} · Thalamus`;
}
const shown = () => (location.hash.slice(1) in views ? location.hash.slice(1) : "playground");
async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  dress();
  const name = shown();
  if (name !== "playground" && !about.admin_open && !keys.admin) return view.replaceChildren(locked());
  view.replaceChildren(h("p", { class: "soft" }, w("loading")));
  try { await views[name].show(view, { signal, about }); }
  catch (error) {
    if (signal.aborted) return;
    view.replaceChildren([401, 403].includes(error.status) && name !== "playground" ? locked(error) : fault(error));
  }
}
const locked = (error) => empty(w("adminNeeded"), error ? error.message : w("adminNeededMore"), h("p", {}), h("button", { class: "main", type: "button", onclick: askKeys }, w("enterKey")));
function askKeys() {
  const dialog = document.getElementById("keys");
  const api = h("input", { type: "password", autocomplete: "off", value: keys.api });
  const admin = h("input", { type: "password", autocomplete: "off", value: keys.admin });
  const keep = (event) => { event?.preventDefault(); setKeys(api.value.trim(), admin.value.trim()); dialog.close(); show(); };
  dialog.replaceChildren(h("form", { onsubmit: keep }, h("h2", { id: "keys-title" }, w("keysTitle")), h("label", {}, w("apiKey"), api), h("label", {}, w("adminKey"), admin), h("p", { class: "small soft" }, w("adminNeededMore")),
    h("div", { class: "row" }, h("button", { class: "main" }, w("keep")), h("button", { type: "button", onclick: () => { api.value = admin.value = ""; keep(); } }, w("forget")), h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, w("cancel")))));
  dialog.showModal();
}
document.getElementById("key").addEventListener("click", askKeys);
document.getElementById("language").addEventListener("click", () => { setLanguage(language === "zh" ? "en" : "zh"); show(); });
document.getElementById("theme").addEventListener("click", () => { localStorage.setItem("thalamus-theme", theme() === "dark" ? "light" : "dark"); show(); });
prefers.addEventListener("change", show);
addEventListener("hashchange", async () => { await show(); view.focus({ preventScroll: true }); });
dress();
try { about = await get("/console/about"); } catch (error) { view.replaceChildren(fault(error)); }
await show();
