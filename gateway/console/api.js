// Talking to the gateway. Keys live in this tab's session and travel as a header, never in an address.
export const keys = { get api() { return sessionStorage.getItem("thalamus-key") ?? ""; }, get admin() { return sessionStorage.getItem("thalamus-admin-key") ?? ""; } };
export function setKeys(api, admin) { for (const [name, value] of [["thalamus-key", api], ["thalamus-admin-key", admin]]) value ? sessionStorage.setItem(name, value) : sessionStorage.removeItem(name); }
export class Refused extends Error { constructor(status, message) { super(message); this.status = status; } }
export async function call(path, { method = "GET", body, headers = {}, signal } = {}) {
  const key = path.startsWith("/admin") ? keys.admin : keys.api;
  const answer = await fetch(path, { method, signal, headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...(body ? { "content-type": "application/json" } : {}), ...headers }, body: body ? JSON.stringify(body) : undefined });
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => null))?.error?.message ?? answer.statusText);
  return answer;
}
export const get = async (path, options) => (await call(path, options)).json();
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      waiting += value;
      const whole = waiting.split(/\r?\n\r?\n/);
      waiting = whole.pop();
      for (const event of whole) { const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n"); if (data && data !== "[DONE]") yield JSON.parse(data); }
    }
  } finally { reader.cancel().catch(() => {}); }
}
