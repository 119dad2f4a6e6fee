// Which language is spoken, and its words.
import en from "./words/en.js";
import zh from "./words/zh.js";

const all = { en, zh };
const stored = localStorage.getItem("thalamus-language");
export let language = stored in all ? stored : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
export function setLanguage(next) {
  language = next;
  localStorage.setItem("thalamus-language", next);
}
export const locale = () => (language === "zh" ? "zh-CN" : "en");

const filled = (text, values) => text.replace(/{(\d)}/g, (_, at) => values[at] ?? "");
export const w = (name, ...values) => filled(all[language].words[name], values);
w.maybe = (name) => all[language].words[name];
// Names from closed sets of the gateway; one that has no word yet stands for itself.
for (const set of [
  "tier",
  "kind",
  "reason",
  "why",
  "signal",
  "rule",
  "outcome",
  "condition",
  "breaker",
  "cache",
  "dial",
]) {
  w[set] = (name, ...values) => filled(all[language][set]?.[name] ?? String(name ?? "–"), values);
}
// A dial may be a share of deep calls in place of a notch.
const notch = w.dial;
w.dial = (name) => (Number(name) > 0 ? w("shareDial", Math.round(Number(name) * 100)) : notch(name));
// Sentences of the decision's steps and signals, which the router writes in English.
w.told = (text) =>
  (all[language].told ?? []).reduce((said, [pattern, into]) => said.replace(pattern, into), text ?? "");
