// The shell: which view is shown, in which language and theme, and with which keys.
import { get, keys, setKeys } from "./api.js";
import { icon } from "./icons.js";
import { close, empty, fault, h, heading, openDialog } from "./page.js";
import { language, locale, setLanguage, w } from "./words.js";
import * as backends from "./views/backends.js";
import * as cache from "./views/cache.js";
import * as dial from "./views/dial.js";
import * as keysView from "./views/keys.js";
import * as live from "./views/live.js";
import * as playground from "./views/playground.js";

const views = { playground, live, dial, backends, keys: keysView, cache };
const view = document.getElementById("view");
const prefers = matchMedia("(prefers-color-scheme: dark)");
let leaving = new AbortController();
let about = null;

const shown = () => (location.hash.slice(1) in views ? location.hash.slice(1) : "playground");
const theme = () => localStorage.getItem("thalamus-theme") ?? (prefers.matches ? "dark" : "light");

function dress() {
  const at = shown();
  const other = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme();
  document.documentElement.lang = locale();
  document.title = `${w(`${at}View`)} · Thalamus`;
  document.querySelector(".skip").textContent = w("skip");
  const link = (name) =>
    h("a", { href: `#${name}`, "aria-current": name === at && "page" }, icon(name), h("span", {}, w(`${name}View`)));
  document.getElementById("nav").setAttribute("aria-label", w("views"));
  document.getElementById("nav").replaceChildren(...Object.keys(views).map(link));
  tool("key", "lock", w("keyButton")).classList.toggle("held", Boolean(keys.api || keys.admin));
  tool("language", "language", language === "zh" ? "English" : "中文").lang = language === "zh" ? "en" : "zh-CN";
  tool("theme", `theme_${other}`, w(`theme_${other}`));
  document.getElementById("bundle").textContent = about ? `${about.bundle} · ${about.version}` : "";
  document.dispatchEvent(new Event("dressed")); // what is drawn in the theme's colours draws itself again
}

function tool(id, drawing, text) {
  const button = document.getElementById(id);
  button.replaceChildren(icon(drawing), h("span", {}, text));
  return button;
}

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const name = shown();
  dress();
  try {
    about ??= await get("/console/about", { signal });
    dress();
    if (name !== "playground" && !about.admin_open && !keys.admin) return view.replaceChildren(...locked(name));
    const waiting = setTimeout(() => view.replaceChildren(loading(name)), 150); // a quick answer needs no "loading"
    signal.addEventListener("abort", () => clearTimeout(waiting));
    await views[name].show(view, { signal, about, askKeys });
    clearTimeout(waiting);
  } catch (error) {
    if (signal.aborted) return;
    leaving.abort();
    view.replaceChildren(...([401, 403].includes(error.status) ? locked(name, error) : broken(name, error)));
  }
}

const titled = (name) => heading(w(`${name}View`), w(`${name}Lead`));
const loading = (name) =>
  h(
    "div",
    { "aria-busy": "true" },
    titled(name),
    h("p", { class: "soft" }, w("loading")),
    h("div", { class: "skeleton" }),
    h("div", { class: "skeleton" }),
    h("div", { class: "skeleton" }),
  );
const enterKey = () => h("button", { class: "main", type: "button", onclick: askKeys }, w("enterKey"));
const locked = (name, error) => [
  titled(name),
  h(
    "div",
    { class: "card" },
    empty(error ? w("adminRefused") : w("adminNeeded"), error ? error.message : w("adminNeededMore"), enterKey()),
  ),
];
const broken = (name, error) => [
  titled(name),
  fault(error, h("button", { type: "button", onclick: show }, w("again"))),
];

function askKeys() {
  const asking = shown() === "playground";
  const api = h("input", { type: "password", autocomplete: "off", value: keys.api, id: "api-key", autofocus: asking });
  const admin = h("input", {
    type: "password",
    autocomplete: "off",
    value: keys.admin,
    id: "admin-key",
    autofocus: !asking,
  });
  const keep = (event) => {
    event.preventDefault();
    setKeys(api.value.trim(), admin.value.trim());
    close();
    show();
  };
  const forget = (event) => {
    api.value = admin.value = "";
    keep(event);
  };
  openDialog(
    w("keysTitle"),
    h(
      "form",
      { onsubmit: keep },
      h("p", { class: "soft" }, w("adminNeededMore")),
      h("label", {}, w("apiKey"), api),
      h("label", {}, w("adminKey"), admin),
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", class: "quiet", onclick: forget }, w("forget")),
        h("button", { class: "main" }, w("keep")),
      ),
    ),
  );
}

document.getElementById("key").addEventListener("click", askKeys);
document.getElementById("language").addEventListener("click", () => {
  setLanguage(language === "zh" ? "en" : "zh");
  show();
});
document.getElementById("theme").addEventListener("click", () => {
  localStorage.setItem("thalamus-theme", theme() === "dark" ? "light" : "dark");
  dress();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
document.getElementById("dialog").addEventListener("click", (event) => {
  if (event.target === event.currentTarget) close();
});
prefers.addEventListener("change", dress);
addEventListener("hashchange", async () => {
  await show();
  scrollTo(0, 0);
  view.focus({ preventScroll: true });
});
await show();
