// Keys, and what they spend of their budgets.
import { call, get } from "../api.js";
import {
  bar,
  chip,
  choice,
  close,
  confirmed,
  copyable,
  dollars,
  empty,
  fault,
  h,
  heading,
  openDialog,
  say,
  table,
  whole,
} from "../page.js";
import { w } from "../words.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9_.:\\/@\\-]*";

export async function show(view, { signal, about }) {
  const [keys, spent, today] = await read(about, signal);
  const wrong = h("div", {});
  about.needs_key ||= keys.some((key) => key.status === "active");
  const again = () => show(view, { signal, about }).catch((error) => wrong.replaceChildren(fault(error)));
  const acts = { rotate: (key) => rotate(key, again), revoke: (key) => revoke(key, again, wrong) };
  const create = () => h("button", { class: "main", type: "button", onclick: () => make(again) }, w("create"));
  const rows = keys.map((key) => rowOf(key, spent, today, acts));
  const list = table(
    w("keysView"),
    [w("name"), w("tenant"), w("status"), w("ends"), { n: w("spent30") }, w("budgetHead"), ""],
    rows,
  );
  view.replaceChildren(
    heading(w("keysView"), w("keysLead"), keys.length ? create() : null),
    wrong,
    keys.length ? list : h("div", { class: "card" }, empty(w("noKeys"), w("noKeysMore"), create())),
    h("h2", { class: "after" }, w("spending")),
    spending(spent),
  );
}

async function read(about, signal) {
  const day = new Date().toISOString().slice(0, 10);
  const usage = (query) => (about.keeps_books ? get(`/admin/usage?${query}`, { signal }) : null);
  const [{ keys }, spent, today] = await Promise.all([
    get("/admin/keys", { signal }),
    usage("by=tenant,key"),
    usage(`by=key&from=${day}&to=${day}`),
  ]);
  const order = (key) => (key.status === "active" ? 0 : 1);
  return [keys.sort((a, b) => order(a) - order(b) || a.name.localeCompare(b.name)), spent, today];
}

const spentBy = (report, name) =>
  report?.rows.filter((row) => row.key === name).reduce((sum, row) => sum + row.cost_dollars, 0) ?? 0;

function rowOf(key, spent, today, { rotate, revoke }) {
  const budget = key.limits?.find((limit) => limit.dollars)?.dollars;
  const used = spentBy(today, key.name),
    active = key.status === "active";
  const act = (word, does, kind) =>
    h(
      "button",
      { type: "button", class: `small ${kind}`, onclick: () => does(key), "aria-label": `${w(word)} ${key.name}` },
      w(word),
    );
  return h(
    "tr",
    { class: active ? "" : "past" },
    h("td", { class: "long" }, h("b", {}, key.name)),
    h("td", { class: "long" }, key.tenant),
    h("td", {}, chip(key.status, active ? "ok" : "")),
    h("td", { class: "mono" }, key.secrets.map((one) => `…${one.ends_with}`).join(" ")),
    h("td", { class: "n" }, dollars(spentBy(spent, key.name))),
    h(
      "td",
      {},
      budget
        ? [
            bar(used / budget, used >= budget ? "bad" : ""),
            h("span", { class: "small soft" }, w("ofBudget", dollars(used), dollars(budget))),
          ]
        : h("span", { class: "soft" }, w("noBudget")),
    ),
    h("td", { class: "acts" }, active && [act("rotate", rotate, ""), act("revoke", revoke, "danger")]),
  );
}

function spending(report) {
  if (report === null) return h("p", { class: "soft" }, w("ledgerOff"));
  if (!report.rows.length) return h("p", { class: "soft" }, w("spendingNone"));
  const row = (one) =>
    h(
      "tr",
      {},
      h("td", { class: "long" }, one.tenant),
      h("td", { class: "long" }, one.key),
      h("td", { class: "n" }, whole(one.requests)),
      h("td", { class: "n" }, dollars(one.cost_dollars)),
      h("td", { class: "n" }, dollars(one.saved_dollars)),
    );
  return table(
    w("spending"),
    [w("tenant"), w("key"), { n: w("requests") }, { n: w("spent") }, { n: w("savedHead") }],
    report.rows.map(row),
  );
}

// A form in the dialog whose answer is a token, shown once.
function formFor(title, action, fields, send, again) {
  const wrong = h("div", {});
  const submit = async (event) => {
    event.preventDefault();
    try {
      const made = await (await send()).json();
      openDialog(made.name, [
        h("p", {}, w("tokenNow")),
        copyable(made.key, "token"),
        h("div", { class: "row end" }, h("button", { class: "main", type: "button", onclick: close }, w("done"))),
      ]);
      again();
    } catch (error) {
      wrong.replaceChildren(fault(error));
    }
  };
  openDialog(
    title,
    h(
      "form",
      { onsubmit: submit },
      wrong,
      fields,
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", onclick: close }, w("cancel")),
        h("button", { class: "main" }, action),
      ),
    ),
  );
}

function make(again) {
  const name = h("input", { required: true, pattern: NAME, autofocus: true, id: "key-name", autocomplete: "off" });
  const tenant = h("input", { value: "default", required: true, pattern: NAME, id: "key-tenant", autocomplete: "off" });
  const budget = h("input", { type: "number", min: 0, step: "any", id: "key-budget", placeholder: w("budgetHint") });
  const send = () => {
    const limits = budget.value ? { limits: [{ window_s: 86_400, dollars: Number(budget.value) }] } : {};
    return call("/admin/keys", { method: "POST", body: { name: name.value, tenant: tenant.value, ...limits } });
  };
  formFor(
    w("create"),
    w("create"),
    [h("label", {}, w("name"), name), h("label", {}, w("tenant"), tenant), h("label", {}, w("budget"), budget)],
    send,
    again,
  );
}

function rotate(key, again) {
  const overlap = choice(
    ["0", "3600", "86400", "604800"].map((value) => [value, w(`overlap${value}`)]),
    "86400",
    { id: "overlap" },
  );
  const send = () =>
    call(`/admin/keys/${encodeURIComponent(key.id)}/rotate`, {
      method: "POST",
      body: { overlap_s: Number(overlap.value) },
    });
  formFor(w("rotateTitle", key.name), w("rotate"), h("label", {}, w("overlap"), overlap), send, again);
}

async function revoke(key, again, wrong) {
  if (!(await confirmed(w("revokeSure", key.name), w("revokeMore"), w("revoke")))) return;
  try {
    await call(`/admin/keys/${encodeURIComponent(key.id)}`, { method: "DELETE" });
    say(w("done"));
    again();
  } catch (error) {
    wrong.replaceChildren(fault(error));
  }
}
