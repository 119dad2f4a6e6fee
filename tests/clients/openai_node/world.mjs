// Where the checks run: the gateway, the stand-in behind it, and the list of checks with their report.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { VERSION } from 'openai/version';

/** `gateway` and `standin` are addresses without `/v1`; `key` and `limited_key` are the caller's keys. */
export const PLACE = JSON.parse(process.argv[2]);

/** A backend must be left this soon after its client has gone. */
const PROMPTLY_MS = 1000;

const checks = new Map();

/** Register a function as the check of that name in the contract. */
export function check(name, run) {
  checks.set(name, run);
}

/** Give a client of the gateway, which retries nothing unasked. */
export function client(options = {}) {
  return new OpenAI({ baseURL: `${PLACE.gateway}/v1`, apiKey: PLACE.key, maxRetries: 0, timeout: 10_000, ...options });
}

/** Give a conversation of one message. */
export function user(text) {
  return [{ role: 'user', content: text }];
}

/** Ask for a plain or streamed chat completion. */
export function ask(fields, chosen = client(), options = {}) {
  return chosen.chat.completions.create({ model: 'auto', messages: user('Hello'), ...fields }, options);
}

/** Make the stand-in behave so until the check ends. A field `standin` in a request does it for that one alone. */
export async function behave(switches) {
  await call('/standin/behaviour', switches);
}

/** Give what reached the stand-in during this check, oldest first. */
export async function seen() {
  return (await call('/standin/requests')).requests;
}

/** Give the body of the last request that reached the stand-in. */
export async function bodySeen() {
  return (await seen()).at(-1).body;
}

/** Give all that an async iterable yields. */
export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** Expect exactly this class of error, and give the error. */
export async function raises(kind, promise) {
  let caught;
  try {
    await promise;
  } catch (error) {
    caught = error;
  }
  assert.ok(caught, `${kind.name} was not raised`);
  if (caught.constructor !== kind) throw caught;
  return caught;
}

/** Fail unless the stand-in's last request is left by its client in time. */
export async function waitUntilLeft() {
  const deadline = Date.now() + PROMPTLY_MS;
  while (!(await seen()).at(-1).client_left) {
    assert.ok(Date.now() < deadline, `the backend was not left within ${PROMPTLY_MS} ms`);
    await sleep(20);
  }
}

/** Run every check and print what came of them as JSON. */
export async function runAll() {
  const report = [];
  for (const [name, run] of checks) report.push(await runOne(name, run));
  process.stdout.write(JSON.stringify({ sdk: `openai ${VERSION}`, checks: report }));
}

async function runOne(name, run) {
  await call('/standin/reset', {});
  const started = performance.now();
  let problem = null;
  try {
    await run();
  } catch (error) {
    problem = error?.stack ?? String(error);
  }
  return { name, problem, seconds: Math.round(performance.now() - started) / 1000 };
}

async function call(path, body) {
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  return (await fetch(PLACE.standin + path, options)).json();
}
