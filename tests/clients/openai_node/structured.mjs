// Structured outputs.

import assert from 'node:assert/strict';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { ask, bodySeen, check, client, user } from './world.mjs';

const Solution = z.object({
  steps: z.array(z.object({ explanation: z.string(), output: z.number() })),
  colour: z.enum(['red', 'blue']),
  answer: z.int().nullable(),
  certain: z.boolean(),
});
const REQUEST = {
  model: 'auto',
  messages: user('Solve it'),
  response_format: zodResponseFormat(Solution, 'Solution'),
};

check('a structured output parses into its type', async () => {
  const { message } = (await client().chat.completions.parse(REQUEST)).choices[0];
  assert.deepEqual(message.parsed, Solution.parse(JSON.parse(message.content)));
  const wanted = (await bodySeen()).response_format.json_schema;
  assert.deepEqual([wanted.name, wanted.strict], ['Solution', true]);
});

check('a streamed structured output parses into its type', async () => {
  const { message } = (await client().chat.completions.stream(REQUEST).finalChatCompletion()).choices[0];
  assert.deepEqual(message.parsed, Solution.parse(JSON.parse(message.content)));
});

check('a JSON object is an object', async () => {
  const answer = await ask({ messages: user('Answer in JSON'), response_format: { type: 'json_object' } });
  assert.equal(typeof JSON.parse(answer.choices[0].message.content), 'object');
});
