// Building the page: elements from data, numbers as people read them. No markup is ever parsed from data.
import { locale, w } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const wanted = (child) => child !== null && child !== undefined && child !== false && child !== "";

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else if (name === "size")
      Object.assign(element.style, value); // the policy forbids style attributes, not this
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(wanted));
  return element;
}

export const h = (tag, attributes = {}, ...children) => furnish(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
  furnish(document.createElementNS(SVG, tag), attributes, children);

// Numbers. What is not known is a dash, never a zero.
const known =
  (form) =>
  (value, ...more) =>
    value === null || value === undefined ? "–" : form(value, ...more);
const number = (value, options) => new Intl.NumberFormat(locale(), options).format(value);
const fixed = (value, digits) => number(value, { maximumFractionDigits: digits, minimumFractionDigits: digits });
export const whole = known((value) => fixed(value, 0));
export const score = known((value) => fixed(value, 2));
export const percent = known((value, digits = 1) =>
  number(value, { style: "percent", maximumFractionDigits: digits, minimumFractionDigits: digits }),
);
export const dollars = known((value) => {
  const size = Math.abs(value);
  const figures =
    size === 0 || size >= 1
      ? fixed(size, 2)
      : number(size, { minimumSignificantDigits: 2, maximumSignificantDigits: 2 });
  return `${value < 0 ? "−" : ""}$${figures}`;
});
export const seconds = known((value) =>
  value < 1 ? `${fixed(value * 1000, 0)} ms` : `${fixed(value, value < 10 ? 2 : 1)} s`,
);
export const bytes = known((value) => {
  const step = value < 1024 ? 0 : value < 1024 ** 2 ? 1 : 2;
  return `${fixed(value / 1024 ** step, step === 0 || value / 1024 ** step >= 100 ? 0 : 1)} ${["B", "KiB", "MiB"][step]}`;
});
export const times = (value) => `${value >= 10 ? fixed(value, 0) : fixed(value, 1)}×`;
export const signed = (value, text) => (value > 0 ? `+${text}` : text);
export const points = (change) => w("points", fixed(change * 100, 1).replace("-", "−"));
export const clock = (moment) => new Date(moment).toLocaleTimeString(locale(), { hour12: false });

// Pieces.
export const chip = (text, kind = "", title = null) => h("span", { class: `chip ${kind}`, title }, text ?? "–");
export const tierOf = (tier) => (tier?.startsWith("deep") ? "deep" : tier ? "fast" : "");
export const tierChip = (tier) => h("span", { class: `chip tier ${tierOf(tier)}` }, tier ? w.tier(tier) : "–");
export const empty = (title, more, ...rest) =>
  h("div", { class: "empty" }, h("strong", {}, title), more && h("p", {}, more), rest);
export const tile = (name, value, more, kind = "") =>
  h("div", { class: `tile ${kind}` }, h("span", {}, name), h("b", {}, value), more && h("small", {}, more));
export const bar = (share, kind = "") =>
  h("div", { class: `meter ${kind}` }, h("i", { size: { width: `${Math.min(Math.max(share, 0), 1) * 100}%` } }));
export const facts = (pairs) =>
  h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => wanted(value))
      .map(([name, value]) => [
        h("dt", {}, name),
        h("dd", {}, value instanceof Node || Array.isArray(value) ? value : String(value)),
      ]),
  );

export function table(label, heads, rows) {
  const head = (one) => (one === "" ? h("td", {}) : h("th", { scope: "col", class: one.n && "n" }, one.n ?? one));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, heads.map(head))), h("tbody", {}, rows)),
  );
}

export const heading = (title, lead, ...actions) =>
  h(
    "header",
    { class: "heading" },
    h("div", {}, h("h1", {}, title), h("p", { class: "lead" }, lead)),
    actions.length ? h("div", { class: "row" }, actions) : null,
  );

export const choice = (options, chosen, attributes = {}) => {
  const element = h(
    "select",
    attributes,
    options.map(([value, text]) => h("option", { value }, text)),
  );
  element.value = chosen;
  return element;
};

// One of a few, as a row of buttons; `value` may be set.
export function segments(label, options, chosen, onchoose) {
  const buttons = options.map(([value, text, title]) =>
    h(
      "button",
      {
        type: "button",
        "data-value": value,
        title,
        onclick: () => {
          set(value);
          onchoose(value);
        },
      },
      text,
    ),
  );
  const set = (value) =>
    buttons.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.value === value)));
  set(chosen);
  return { element: h("div", { class: "segments", role: "group", "aria-label": label }, buttons), set };
}

let fading;
export function say(text) {
  const place = document.getElementById("say");
  place.textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => {
    place.textContent = "";
  }, 3500);
}

// What went wrong, in the reader's words where the status says enough, and the gateway's own message below.
export function fault(error, ...actions) {
  const title = w.maybe(`status${error.status}`) ?? (error.status >= 500 ? w("statusDown") : w("failed"));
  const again = error.retryAfter ? w("retryAfter", error.retryAfter) : null;
  return h(
    "div",
    { class: "fault", role: "alert" },
    h("strong", {}, error instanceof TypeError ? w("unreachable") : title),
    h("p", {}, error instanceof TypeError ? w("unreachableMore") : error.message, again && ` ${again}`),
    actions.length ? h("div", { class: "row" }, actions) : null,
  );
}

const dialog = () => document.getElementById("dialog");
export const close = () => dialog().close();
export function openDialog(title, content, kind = "") {
  const closing = h("button", { type: "button", class: "quiet icon", "aria-label": w("close"), onclick: close }, "×");
  dialog().className = kind;
  dialog().replaceChildren(
    h("header", {}, h("h2", { id: "dialog-title" }, title), closing),
    h("div", { class: "inside" }, content),
  );
  if (!dialog().open) dialog().showModal();
  dialog().scrollTop = 0;
}

// Asks before something that cannot be taken back; true once it is confirmed.
export function confirmed(title, more, action) {
  return new Promise((decide) => {
    const answer = (yes) => {
      dialog().removeEventListener("close", no);
      close();
      decide(yes);
    };
    const no = () => decide(false);
    dialog().addEventListener("close", no, { once: true });
    openDialog(title, [
      h("p", { class: "soft" }, more),
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", onclick: () => answer(false) }, w("cancel")),
        h("button", { type: "button", class: "danger solid", id: "confirm", onclick: () => answer(true) }, action),
      ),
    ]);
  });
}

// Text to take away. Without a secure context there is no clipboard: then it is selected, to be copied by hand.
export function copyable(text, id = null) {
  const code = h("code", { class: "token", id }, text);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      say(w("copied"));
    } catch {
      getSelection().selectAllChildren(code);
    }
  };
  return h(
    "div",
    { class: "copyable" },
    code,
    h("button", { type: "button", class: "small", onclick: copy }, w("copy")),
  );
}
