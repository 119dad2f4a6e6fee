// Text completions, embeddings and models.

import assert from 'node:assert/strict';
import { all, bodySeen, check, client } from './world.mjs';

const complete = (fields) => client().completions.create({ model: 'auto', prompt: 'Once upon', max_tokens: 50, ...fields });

check('a text completion continues its prompt', async () => {
  const answer = await complete();
  assert.equal(answer.object, 'text_completion');
  assert.match(answer.choices[0].text, /Once upon$/);
  assert.ok(answer.usage.completion_tokens > 0);
});

check('a streamed text completion adds up', async () => {
  const chunks = await all(await complete({ stream: true }));
  assert.match(chunks.map((chunk) => chunk.choices[0].text).join(''), /Once upon$/);
  assert.ok(chunks.every((chunk) => !('usage' in chunk)));
  const last = (await all(await complete({ stream: true, stream_options: { include_usage: true } }))).at(-1);
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.total_tokens > 0);
});

check('text completions take many prompts, token ids and log probabilities', async () => {
  const { choices } = await complete({ prompt: ['one', 'two'], n: 2, logprobs: 3, echo: true });
  assert.deepEqual(choices.map((choice) => choice.index), [0, 1, 2, 3]);
  assert.match(choices[2].text, /^two/);
  assert.ok(choices[0].logprobs.token_logprobs.length > 0);
  for (const prompt of [[1, 2, 3], [[1, 2], [3]]]) {
    await complete({ prompt });
    assert.deepEqual((await bodySeen()).prompt, prompt);
  }
});

check('embeddings come as numbers, decoded from base64', async () => {
  const answer = await client().embeddings.create({ model: 'text-embedding-3-small', input: 'the stars' });
  assert.equal((await bodySeen()).encoding_format, 'base64');
  const vector = answer.data[0].embedding;
  assert.equal(vector.length, 1536);
  assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-3);
  assert.ok(answer.usage.prompt_tokens > 0);
});

check('embeddings take many inputs, dimensions and plain floats', async () => {
  const embed = (fields) => client().embeddings.create({ model: 'swift', dimensions: 8, ...fields });
  const { data } = await embed({ input: ['stars', '夜空', 'stars'], encoding_format: 'float' });
  assert.deepEqual(data.map((item) => item.embedding.length), [8, 8, 8]);
  assert.deepEqual(data[0].embedding, data[2].embedding);
  assert.equal((await embed({ input: [[1, 2, 3], [4]] })).data.length, 2);
});

check('models are listed: the router, tiers, backends and aliases', async () => {
  const listed = await all(client().models.list());
  const ids = listed.map((model) => model.id);
  for (const name of ['auto', 'fast', 'deep', 'swift', 'sage', 'gpt-4o', 'vendor/model:free']) assert.ok(ids.includes(name), name);
  assert.ok(listed.every((model) => model.object === 'model'));
});

check('a model is described by its name', async () => {
  for (const name of ['auto', 'deep', 'swift', 'gpt-4o', 'vendor/model:free'])
    assert.equal((await client().models.retrieve(name)).id, name);
});
