// Talking to the gateway. Keys live in this tab's session and travel as a header, never in an address.
const kept = (name) => sessionStorage.getItem(name) ?? "";
export const keys = {
  get api() {
    return kept("thalamus-key");
  },
  get admin() {
    return kept("thalamus-admin-key");
  },
};

export function setKeys(api, admin) {
  for (const [name, value] of [
    ["thalamus-key", api],
    ["thalamus-admin-key", admin],
  ]) {
    if (value) sessionStorage.setItem(name, value);
    else sessionStorage.removeItem(name);
  }
}

export class Refused extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export async function call(path, { method = "GET", body, headers = {}, signal } = {}) {
  const key = path.startsWith("/admin") ? keys.admin : keys.api;
  const sent = { ...headers };
  if (key) sent.authorization = `Bearer ${key}`;
  if (body) sent["content-type"] = "application/json";
  const answer = await fetch(path, { method, signal, headers: sent, body: body && JSON.stringify(body) });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  throw new Refused(answer.status, told?.error?.message ?? answer.statusText, answer.headers.get("retry-after"));
}

export const get = async (path, options) => (await call(path, options)).json();

export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const whole = (waiting + value).split(/\r?\n\r?\n/);
      waiting = whole.pop();
      for (const event of whole) {
        const data = dataOf(event);
        if (data && data !== "[DONE]") yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const dataOf = (event) =>
  event
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trim())
    .join("\n");

// What backends cost, asked once each; null where no price is known.
const prices = new Map();
export async function priceOf(backend, signal) {
  if (!prices.has(backend)) {
    const model = await get(`/v1/models/${encodeURIComponent(backend)}`, { signal }).catch(() => null);
    if (!model) return null; // asked again the next time
    prices.set(backend, model.thalamus?.price ?? null);
  }
  return prices.get(backend);
}

export async function pricesOf(targets, signal) {
  const names = [...new Set(targets.map((one) => one.backend))];
  return new Map(await Promise.all(names.map(async (name) => [name, await priceOf(name, signal)])));
}
