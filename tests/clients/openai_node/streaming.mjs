// Streamed chat completions.

import assert from 'node:assert/strict';
import { all, ask, bodySeen, check, client, user, waitUntilLeft } from './world.mjs';

const TEXT = 'Tell me of 夜空 and stars';

const stream = (fields) => ask({ messages: user(TEXT), stream: true, ...fields });

check('a stream adds up to the plain answer', async () => {
  const plain = await ask({ messages: user(TEXT) });
  const chunks = await all(await stream());
  const said = chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join('');
  assert.equal(said, plain.choices[0].message.content);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  assert.ok(chunks.every((chunk) => chunk.object === 'chat.completion.chunk' && chunk.id === chunks[0].id));
});

check('a stream says nothing of usage unless asked', async () => {
  for (const asked of [{}, { stream_options: { include_usage: false } }]) {
    const chunks = await all(await stream(asked));
    assert.ok(chunks.every((chunk) => chunk.choices.length > 0 && !('usage' in chunk)));
    assert.equal((await bodySeen()).stream_options.include_usage, true);
  }
});

check('a stream ends with usage when asked', async () => {
  const chunks = await all(await stream({ stream_options: { include_usage: true } }));
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.completion_tokens > 0);
  assert.ok(chunks.every((chunk) => chunk.usage === null && chunk.choices.length > 0));
});

check('a stream of n choices keeps them apart', async () => {
  const said = ['', ''];
  for await (const chunk of await stream({ n: 2 }))
    for (const choice of chunk.choices) said[choice.index] += choice.delta.content ?? '';
  assert.notEqual(said[0], said[1]);
  assert.ok(said.every((text) => text.endsWith(TEXT)));
});

check('a stream carries log probabilities', async () => {
  const chunks = await all(await stream({ logprobs: true, top_logprobs: 2 }));
  const spoken = chunks.map((chunk) => chunk.choices[0]).filter((choice) => choice.delta.content);
  assert.ok(spoken.length > 2);
  for (const { delta, logprobs } of spoken) {
    assert.deepEqual(logprobs.content.map((token) => token.token), [delta.content]);
    assert.equal(logprobs.content[0].top_logprobs.length, 2);
  }
});

check('a stream shows the reasoning', async () => {
  const chunks = await all(await stream({ model: 'deep', standin: { thinking: 'always', thinking_tokens: 5 } }));
  const thought = chunks.map((chunk) => chunk.choices[0].delta.reasoning_content ?? '').join('');
  assert.match(thought, /^Let me think/);
});

check('a stream can be read line by line', async () => {
  const response = await stream().asResponse();
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const lines = (await response.text()).split('\n').filter(Boolean);
  assert.equal(lines.at(-1), 'data: [DONE]');
  assert.ok(lines.every((line) => line.startsWith('data: ')));
  assert.equal(JSON.parse(lines[0].slice(6)).object, 'chat.completion.chunk');
});

check('the stream helper gathers the final answer', async () => {
  let said = '';
  const helper = client()
    .chat.completions.stream({ model: 'auto', messages: user(TEXT), stream_options: { include_usage: true } })
    .on('content', (delta) => (said += delta));
  const final = await helper.finalChatCompletion();
  assert.equal(said, final.choices[0].message.content);
  assert.ok(said.endsWith(TEXT));
  assert.ok((await helper.totalUsage()).total_tokens > 0);
});

check('leaving a stream stops the backend', async () => {
  let count = 0;
  for await (const _ of await stream({ standin: { token_ms: 50, tokens: 400 } })) if (++count === 3) break;
  await waitUntilLeft();
});

check("a stream's headers carry the decision", async () => {
  const { data, response } = await stream().withResponse();
  assert.ok(['swift', 'sage'].includes(response.headers.get('x-thalamus-backend')));
  assert.match(response.headers.get('x-thalamus-decision-id'), /^dec_/);
  assert.ok((await all(data)).length > 2);
});

check('oddly framed and compressed streams read like any other', async () => {
  const odd = ['crlf', 'coalesced', 'split', 'bom', 'named', 'commented'].map((name) => ({ framing: [name] }));
  for (const standin of [...odd, { framing: ['crlf', 'named', 'split'] }, { gzip: true }]) {
    const chunks = await all(await stream({ standin }));
    const said = chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join('');
    assert.ok(said.endsWith(TEXT), `${JSON.stringify(standin)}: ${said}`);
    const plain = await ask({ messages: user(TEXT), standin });
    assert.equal(plain.choices[0].message.content, said);
  }
});
