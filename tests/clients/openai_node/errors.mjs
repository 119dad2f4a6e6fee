// What goes wrong arrives as the SDK's own errors, and is retried when and only when that can help.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { all, ask, behave, check, client, PLACE, raises, seen, user, waitUntilLeft } from './world.mjs';

/** Send a chat request to the backend `swift`, which nobody stands in for. */
const askSwift = (fields, chosen) => ask({ model: 'swift', ...fields }, chosen);

check('a wrong key is an authentication error', async () => {
  const stranger = client({ apiKey: 'sk-nobody', maxRetries: 2 });
  const calls = [
    () => askSwift({}, stranger),
    () => askSwift({ stream: true }, stranger),
    () => stranger.completions.create({ model: 'auto', prompt: 'x' }),
    () => stranger.embeddings.create({ model: 'swift', input: 'x' }),
    () => stranger.models.list(),
    () => stranger.models.retrieve('auto'),
  ];
  for (const call of calls) {
    const error = await raises(OpenAI.AuthenticationError, call());
    assert.deepEqual([error.status, error.code], [401, 'invalid_api_key']);
    assert.ok(!error.message.includes('sk-nobody'));
  }
  assert.deepEqual(await seen(), []);
});

check('a key that may not use a model gets a permission error', async () => {
  const limited = client({ apiKey: PLACE.limited_key });
  await askSwift({ model: 'fast' }, limited);
  const error = await raises(OpenAI.PermissionDeniedError, askSwift({ model: 'deep' }, limited));
  assert.equal(error.code, 'permission_denied');
  assert.deepEqual((await all(limited.models.list())).map((model) => model.id), ['fast']);
});

check('an unknown model is a not-found error everywhere', async () => {
  const calls = [
    () => askSwift({ model: 'gpt-17' }),
    () => askSwift({ model: 'gpt-17', stream: true }),
    () => client().completions.create({ model: 'gpt-17', prompt: 'x' }),
    () => client().embeddings.create({ model: 'gpt-17', input: 'x' }),
    () => client().models.retrieve('gpt-17'),
  ];
  for (const call of calls) {
    const error = await raises(OpenAI.NotFoundError, call());
    assert.deepEqual([error.code, error.param], ['model_not_found', 'model']);
  }
});

check('a bad field is a bad request that names the field', async () => {
  const cases = [
    [{ temperature: 'hot' }, 'temperature'],
    [{ temperature: 3 }, 'temperature'],
    [{ messages: 'hello' }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'wizard', content: 'x' }] }, 'messages[0].role'],
    [{ n: 0 }, 'n'],
    [{ stream: 'yes' }, 'stream'],
    [{ tools: {} }, 'tools'],
    [{ reasoning_effort: 'enormous' }, 'reasoning_effort'],
  ];
  for (const [fields, param] of cases) {
    const error = await raises(OpenAI.BadRequestError, askSwift(fields));
    assert.deepEqual([error.param, error.type], [param, 'invalid_request_error']);
    assert.ok(error.message.includes(param), error.message);
  }
  assert.deepEqual(await seen(), []);
});

check('a body that is too large is a 413', async () => {
  const error = await raises(
    OpenAI.APIError,
    askSwift({ messages: user('x'.repeat(PLACE.max_body_bytes)) }, client({ maxRetries: 2 })),
  );
  assert.deepEqual([error.status, error.code], [413, 'request_too_large']);
  assert.deepEqual(await seen(), []);
});

check("what the backend refuses is a bad request in the backend's words", async () => {
  const error = await raises(
    OpenAI.BadRequestError,
    askSwift({ tool_choice: 'required' }, client({ maxRetries: 2 })),
  );
  assert.match(error.message, /tool/);
  assert.equal((await seen()).length, 1);
  await raises(OpenAI.UnprocessableEntityError, askSwift({ standin: { faults: ['status-422'] } }));
  await raises(OpenAI.ConflictError, askSwift({ standin: { faults: ['status-409'] } }));
});

check('a rate limit is a rate-limit error, retried as often as asked', async () => {
  const standin = { faults: ['status-429'], retry_after: '1' };
  const error = await raises(OpenAI.RateLimitError, askSwift({ standin }, client({ maxRetries: 1 })));
  assert.deepEqual([error.code, error.headers.get('retry-after')], ['upstream_rate_limited', '1']);
  assert.equal((await seen()).length, 2);
});

check('a rate limit that passes is survived by a retry', async () => {
  await behave({ faults: ['status-429'], fault_limit: 1, retry_after: '1' });
  const answer = await askSwift({}, client({ maxRetries: 2 }));
  assert.equal(answer.choices[0].finish_reason, 'stop');
  const requests = await seen();
  assert.deepEqual(requests.map((request) => request.status), [429, 200]);
  assert.ok(requests[1].arrived - requests[0].arrived >= 1);
});

check('a failing backend is a server error, retried as often as asked', async () => {
  for (const [fault, retries] of [['status-500', 1], ['status-503', 0], ['status-529', 0], ['status-401', 0]]) {
    const before = (await seen()).length;
    const standin = { faults: [fault], retry_after: null };
    const error = await raises(OpenAI.InternalServerError, askSwift({ standin }, client({ maxRetries: retries })));
    assert.equal(error.status, 502);
    assert.equal(error.headers.get('x-thalamus-backend'), 'swift');
    assert.equal((await seen()).length - before, retries + 1);
  }
});

check('a backend that cannot be reached is a server error', async () => {
  const error = await raises(OpenAI.InternalServerError, ask({ model: 'gone' }));
  assert.deepEqual([error.status, error.code], [503, 'upstream_unreachable']);
});

check('a backend that is too slow is a server error', async () => {
  for (const stream of [false, true]) {
    const slow = { model: 'impatient', stream, standin: { first_byte_ms: 5000 } };
    const error = await raises(OpenAI.InternalServerError, ask(slow));
    assert.deepEqual([error.status, error.code], [504, 'upstream_timeout']);
  }
});

check("a client's own timeout ends its request and the backend's", async () => {
  for (const stream of [false, true]) {
    const slow = { stream, standin: { first_byte_ms: 20_000 } };
    await raises(OpenAI.APIConnectionTimeoutError, askSwift(slow, client({ timeout: 500 })));
    await waitUntilLeft();
  }
});

check('a failure before the first event is an error of the call', async () => {
  for (const fault of ['status-500', 'reset-before-headers']) {
    const error = await raises(OpenAI.InternalServerError, askSwift({ stream: true, standin: { faults: [fault] } }));
    assert.equal(error.status, 502);
  }
});

check('a stream that breaks raises in the iteration', async () => {
  for (const fault of ['reset-mid-stream', 'close-mid-stream', 'truncated-json']) await breaksAfterSome(fault);
});

check('a stream in which the backend reports an error raises in the iteration', async () => {
  await breaksAfterSome('error-event');
});

async function breaksAfterSome(fault) {
  const stream = await askSwift({ stream: true, standin: { faults: [fault], tokens: 12, token_ms: 2 } });
  let chunks = 0;
  const read = async () => {
    for await (const _ of stream) chunks += 1;
  };
  const error = await raises(OpenAI.APIError, read());
  assert.ok(chunks > 0, fault);
  assert.equal(error.code, 'upstream_failed');
}

check('a failed backend is routed around, and that is told', async () => {
  await behave({ faults: ['status-503'], fault_limit: 1 });
  const raw = await ask({ model: 'fast' }).asResponse();
  assert.equal(raw.headers.get('x-thalamus-backend'), 'sage');
  assert.equal(raw.headers.get('x-thalamus-reason'), 'fallback');
  assert.match(raw.headers.get('x-thalamus-attempts'), /^swift=/);
  assert.deepEqual((await seen()).map((request) => request.status), [503, 200]);
});
