// Building the page: elements from data, numbers as people read them. No markup is ever parsed from data.
import { language, w } from "./words.js";
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
const number = (digits) => (value) => new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
export const whole = (value) => (value === null || value === undefined ? "–" : number(0)(value));
export const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${number(digits)(value * 100)} %`);
export const score = (value) => (value === null || value === undefined ? "–" : number(3)(value));
export const dollars = (value) => (value === null || value === undefined ? "–" : `${value < 0 ? "−" : ""}$${number(Math.abs(value) >= 1 || value === 0 ? 2 : 5)(Math.abs(value))}`);
export const seconds = (value) => (value === null || value === undefined ? "–" : value < 1 ? `${number(0)(value * 1000)} ms` : `${number(2)(value)} s`);
export const chip = (text, kind = text) => h("span", { class: `chip ${kind ?? ""}` }, text ?? "–");
export const empty = (title, more, ...rest) => h("div", { class: "card empty" }, h("strong", {}, title), more, rest);
export const table = (label, heads, rows) => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => head === "" ? h("td", {}) : h("th", { scope: "col", class: head.n ? "n" : null }, head.n ?? head)))), h("tbody", {}, rows)));
export const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value instanceof Node ? value : String(value))]));
export const steps = (list) => h("ol", { class: "steps" }, list.map((step) => h("li", {}, h("b", {}, step.rule), h("span", {}, step.saw, h("span", { class: "did" }, ` → ${step.did}`)))));
export const heading = (title, lead) => [h("h1", {}, title), h("p", { class: "lead" }, lead)];
let fading;
export function say(text) { const place = document.getElementById("say"); place.textContent = text; clearTimeout(fading); fading = setTimeout(() => { place.textContent = ""; }, 3500); }
export const fault = (error) => h("div", { class: "fault", role: "alert" }, `${w("failed")}: ${error.message}`);
