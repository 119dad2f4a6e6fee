// Plain chat completions.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { ask, bodySeen, check, client, raises, PLACE, seen, user } from './world.mjs';

const PIXEL = `data:image/png;base64,${Buffer.from('\x89PNG\r\n\x1a\n' + '\0'.repeat(64), 'latin1').toString('base64')}`;

check('a plain answer has text, a finish reason and token counts', async () => {
  const answer = await ask({ messages: user('Say hello') });
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].message.role, 'assistant');
  assert.match(answer.choices[0].message.content, /: Say hello$/);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
});

check('the whole conversation reaches the backend as it was written', async () => {
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    { role: 'system', content: [{ type: 'text', text: 'In two parts.' }] },
    { role: 'user', content: 'First', name: 'ada' },
    { role: 'assistant', content: 'Yes?', refusal: null },
    { role: 'user', content: [{ type: 'text', text: 'Second ' }, { type: 'text', text: '\0\t\\ "\'' }] },
  ];
  await ask({ model: 'swift', messages });
  const reached = await bodySeen();
  assert.deepEqual(reached.messages, messages);
  assert.equal(reached.model, 'swift-1');
});

check('n choices come back as n choices', async () => {
  const { choices } = await ask({ n: 3 });
  assert.deepEqual(choices.map((choice) => choice.index), [0, 1, 2]);
  assert.equal(new Set(choices.map((choice) => choice.message.content)).size, 3);
});

check('log probabilities come with each token', async () => {
  const [choice] = (await ask({ logprobs: true, top_logprobs: 4, seed: 7 })).choices;
  const tokens = choice.logprobs.content;
  assert.equal(tokens.map((token) => token.token).join(''), choice.message.content);
  assert.ok(tokens.every((token) => token.top_logprobs.length === 4 && token.logprob <= 0));
});

check('sampling fields and fields of other vendors reach the backend', async () => {
  const ours = {
    seed: 9007199254740991,
    temperature: 0.25,
    top_p: 0.5,
    presence_penalty: -1.5,
    frequency_penalty: 2,
    logit_bias: { 50256: -100 },
    metadata: { team: 'search' },
    store: false,
    stop: ['###'],
    user: 'u-1',
  };
  const theirs = { top_k: 20, repetition_penalty: 1.05, guided_regex: 'a+', vendor: { deep: [1, null, '思'] } };
  await ask({ model: 'swift', ...ours, ...theirs });
  const { model, messages, ...reached } = await bodySeen();
  assert.deepEqual(reached, { ...ours, ...theirs });
});

check('an image and a sound reach a backend that can take them', async () => {
  const content = [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: PIXEL, detail: 'low' } },
    { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
  ];
  await ask({ messages: [{ role: 'user', content }] });
  assert.deepEqual((await bodySeen()).messages, [{ role: 'user', content }]);
});

check('an image for a backend that cannot see is a bad request', async () => {
  const content = [{ type: 'image_url', image_url: { url: PIXEL } }];
  const error = await raises(OpenAI.BadRequestError, ask({ model: 'blind', messages: [{ role: 'user', content }] }));
  assert.equal(error.code, 'no_capable_backend');
  assert.deepEqual(await seen(), []);
});

check('an answer that is cut says so', async () => {
  for (const limit of ['max_tokens', 'max_completion_tokens']) {
    const answer = await ask({ model: 'swift', messages: user('A long story'), [limit]: 2 });
    assert.equal(answer.choices[0].finish_reason, 'length');
    assert.equal(answer.usage.completion_tokens, 2);
  }
});

check('reasoning effort is applied and reported', async () => {
  const { response } = await ask({ reasoning_effort: 'high' }).withResponse();
  assert.equal(response.headers.get('x-thalamus-tier'), 'deep');
  assert.equal(response.headers.get('x-thalamus-reason'), 'client');
  assert.match(response.headers.get('x-thalamus-thinking'), /^asked=high applied=/);
  const quick = await ask({ reasoning_effort: 'none' }).asResponse();
  assert.equal(quick.headers.get('x-thalamus-tier'), 'fast');
});

check('Chinese and emoji survive both ways', async () => {
  const said = '仔细想想：为什么天空是蓝色的？ 👩🏽‍🚀 é \u2028';
  const answer = await ask({ messages: user(said) });
  assert.equal((await bodySeen()).messages[0].content, said);
  assert.ok(answer.choices[0].message.content.endsWith(said));
});

check('an alias serves like the model it stands for', async () => {
  const answer = await ask({ model: 'gpt-4o', messages: user('Who are you?') });
  assert.match(answer.choices[0].message.content, /: Who are you\?$/);
});

check('raw responses carry the decision in their headers', async () => {
  const { data, response } = await ask({}).withResponse();
  const header = (name) => response.headers.get(`x-thalamus-${name}`);
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.ok(['fast', 'deep'].includes(header('tier')));
  assert.ok(['swift', 'sage'].includes(header('backend')));
  assert.ok(Number(header('difficulty')) >= 0 && Number(header('difficulty')) <= 1);
  assert.match(header('decision-id'), /^dec_/);
  for (const name of ['reason', 'effort', 'cache', 'thinking']) assert.ok(header(name), name);
  assert.equal(data.choices[0].finish_reason, 'stop');
});

check('a header chooses the tier', async () => {
  for (const [tier, backend] of [['fast', 'swift'], ['deep', 'sage']]) {
    const raw = await ask({}, client(), { headers: { 'x-thalamus-route': tier } }).asResponse();
    assert.equal(raw.headers.get('x-thalamus-backend'), backend);
  }
  const requests = await seen();
  assert.ok(requests.every((request) => !request.authorization_present));
  assert.ok(!JSON.stringify(requests).includes(PLACE.key), "the caller's key reached a backend");
});
