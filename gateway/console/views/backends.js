// Every replica, and draining it.
import { call, get } from "../api.js";
import { bar, chip, fault, h, heading, say, seconds, table, tile, whole } from "../page.js";
import { w } from "../words.js";

const EVERY_MS = 3000;
const KIND = { serving: "ok", draining: "warn", cooling: "warn", unhealthy: "bad", broken: "bad" };

export async function show(view, { signal }) {
  const tiles = h("div", { class: "tiles" });
  const place = h("div", { id: "replicas" });
  const wrong = h("div", {});
  let fresh = [];
  const load = async () => {
    ({ backends: fresh } = await get("/admin/backends", { signal }));
    draw();
  };
  const set = async (backend, replica, what) => {
    try {
      await call(`/admin/backends/${backend.name}/${replica.name}/${what}`, { method: "POST", signal });
      say(w(what === "drain" ? "drained" : "undrained"));
      wrong.replaceChildren();
      await load();
      place.querySelector(`[data-replica="${CSS.escape(`${backend.name}/${replica.name}`)}"]`)?.focus();
    } catch (error) {
      wrong.replaceChildren(fault(error));
    }
  };
  const draw = () => {
    tiles.replaceChildren(...figuresOf(fresh));
    const rows = fresh.flatMap((backend) => backend.replicas.map((replica) => rowOf(backend, replica, set)));
    place.replaceChildren(
      table(
        w("backendsView"),
        [
          w("backend"),
          w("replica"),
          w("state"),
          w("breakerHead"),
          { n: w("inFlight") },
          { n: w("inLine") },
          { n: w("slowness") },
          "",
        ],
        rows,
      ),
    );
  };
  await load();
  view.replaceChildren(heading(w("backendsView"), w("backendsLead")), wrong, tiles, place);
  const timer = setInterval(() => {
    if (!place.querySelector("button:focus"))
      load().catch(() => {
        /* shown again when it answers */
      });
  }, EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function figuresOf(backends) {
  const replicas = backends.flatMap((backend) => backend.replicas);
  const serving = replicas.filter((replica) => replica.condition === "serving").length;
  const sum = (list, name) => list.reduce((total, one) => total + one[name], 0);
  return [
    tile(
      w("serving"),
      whole(serving),
      w("ofReplicas", whole(replicas.length)),
      serving < replicas.length ? "warn" : "",
    ),
    tile(w("inFlightAll"), whole(sum(replicas, "in_flight"))),
    tile(w("inLineAll"), whole(sum(backends, "waiting"))),
  ];
}

function rowOf(backend, replica, set) {
  const what = replica.condition === "draining" ? "undrain" : "drain";
  const load = replica.limit ? `${whole(replica.in_flight)} / ${whole(replica.limit)}` : whole(replica.in_flight);
  return h(
    "tr",
    {},
    h("td", {}, h("b", {}, backend.name)),
    h("td", { class: "mono" }, replica.name),
    h("td", {}, chip(w.condition(replica.condition), KIND[replica.condition])),
    h("td", {}, chip(w.breaker(replica.breaker), { closed: "", open: "bad" }[replica.breaker] ?? "warn")),
    h("td", { class: "n" }, load, replica.limit ? bar(replica.in_flight / replica.limit) : null),
    h("td", { class: "n" }, whole(backend.waiting)),
    h("td", { class: "n" }, replica.slowness_s ? seconds(replica.slowness_s) : "–"),
    h(
      "td",
      { class: "acts" },
      h(
        "button",
        {
          type: "button",
          class: "small",
          "data-replica": `${backend.name}/${replica.name}`,
          "aria-label": `${w(what)} ${backend.name}/${replica.name}`,
          onclick: () => set(backend, replica, what),
        },
        w(what),
      ),
    ),
  );
}
