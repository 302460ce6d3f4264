import type OpenAI from 'openai';
import { assign } from '../../../src/core/routing/assignment';
import { startDemoPair } from '../../support/gateways/demo-pair';
import { ASK, MAPPED_MODEL, MODEL } from '../../support/gateways/running-gateway';
import { ofFile } from '../../support/of-file';

const pair = ofFile(startDemoPair);

async function textOf(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    expect(chunk.choices).toHaveLength(1);
    text += chunk.choices[0]?.delta.content ?? '';
  }
  return text;
}

it('serves a route without a migration from legacy and observes it under epoch 0', async () => {
  const { data, response } = await pair().gateway.client().chat.completions.create(ASK).withResponse();
  expect(data.model).toBe(MODEL);
  expect(response.headers.get('x-cutover-provider')).toBe('old');
  expect(response.headers.get('x-cutover-epoch')).toBe('0');
  expect(response.headers.get('x-cutover-model')).toBe(MODEL);
  expect(response.headers.get('x-request-id')).toMatch(/^req_old_/);
  expect(
    await textOf(
      await pair()
        .gateway.client()
        .chat.completions.create({ ...ASK, stream: true }),
    ),
  ).toContain('Traffic moves');
  const cells = pair().gateway.cells(0);
  expect(cells.map(({ side, kind, shape, successes }) => [side, kind, shape, successes])).toEqual(
    expect.arrayContaining([
      ['legacy', 'live', 'plain', 1],
      ['legacy', 'live', 'stream', 1],
    ]),
  );
  expect(cells.every((cell) => cell.tokensOut === 5)).toBe(true);
});

it('serves everything that is mapped from the candidate at share 1, under its name of the model', async () => {
  await pair().gateway.route(1);
  const client = pair().gateway.client();
  const { data, response } = await client.chat.completions.create(ASK).withResponse();
  expect(data.model).toBe(MAPPED_MODEL);
  expect(response.headers.get('x-cutover-provider')).toBe('new');
  expect(response.headers.get('x-cutover-model')).toBe(MAPPED_MODEL);
  expect(await textOf(await client.chat.completions.create({ ...ASK, stream: true }))).toContain('Traffic');
  expect((await client.completions.create({ model: MODEL, prompt: 'x' })).choices[0]?.text).toContain(
    'Traffic',
  );
  expect((await client.responses.create({ model: MODEL, input: 'x' })).output_text).toContain('Traffic');
  let delta = '';
  for await (const event of await client.responses.create({ model: MODEL, input: 'x', stream: true })) {
    if (event.type === 'response.output_text.delta') delta += event.delta;
  }
  expect(delta).toContain('Traffic');
  const [cell] = pair()
    .gateway.cells()
    .filter(({ side, shape }) => side === 'candidate' && shape === 'plain');
  expect(cell?.successes).toBe(3);
});

it('keeps embeddings and models at legacy until the route is completely at the candidate', async () => {
  const client = pair().gateway.client();
  const embed = { model: 'text-embedding-3-small', input: ['a', 'b'] };
  const before = await client.embeddings.create(embed).withResponse();
  expect(before.response.headers.get('x-cutover-provider')).toBe('old');
  expect(before.data.data).toHaveLength(2);
  await pair().gateway.route(1, { stage: 'complete', pinned: true });
  const after = await client.embeddings.create(embed).withResponse();
  expect(after.response.headers.get('x-cutover-provider')).toBe('new');
  expect((await client.models.list()).data.map(({ id }) => id)).toContain(MODEL);
});

it('leaves unmapped models and unknown paths at legacy', async () => {
  const unmapped = await pair()
    .gateway.client()
    .chat.completions.create({ ...ASK, model: MAPPED_MODEL })
    .withResponse();
  expect(unmapped.response.headers.get('x-cutover-provider')).toBe('old');
  const unknown = await fetch(`${pair().gateway.dataUrl}/v1/something/new?a=1`, {
    method: 'POST',
    body: 'x',
  });
  expect(unknown.status).toBe(404);
  expect(pair().legacy.requests.at(-1)).toMatchObject({ path: '/v1/something/new', method: 'POST' });
});

it('serves a route by its name, and no route that does not exist', async () => {
  const named = await pair().gateway.client('/routes/chat/v1').chat.completions.create(ASK).withResponse();
  expect(named.response.status).toBe(200);
  await expect(pair().gateway.client('/routes/other/v1').chat.completions.create(ASK)).rejects.toMatchObject({
    status: 404,
    code: 'unknown_url',
  });
});

it('lets legacy answer when the candidate fails, and counts both for what they did', async () => {
  await pair().gateway.route(0.9999);
  pair().candidate.behaviour.failureRatio = 1;
  const { response } = await pair().gateway.client().chat.completions.create(ASK).withResponse();
  pair().candidate.behaviour.failureRatio = 0;
  expect(response.headers.get('x-cutover-provider')).toBe('old');
  expect(response.headers.get('x-cutover-failover')).toBe('status_5xx');
  const cells = pair()
    .gateway.cells()
    .map(({ side, kind, attempts, failures }) => ({ side, kind, attempts, failures }));
  expect(cells).toContainEqual({ side: 'candidate', kind: 'live', attempts: 1, failures: { status_5xx: 1 } });
  expect(cells).toContainEqual({ side: 'legacy', kind: 'failover', attempts: 1, failures: {} });
  expect(pair().gateway.log.at(-1)).toMatchObject({
    arm: 'candidate',
    provider: 'old',
    failover: 'status_5xx',
    attempts: [
      { provider: 'new', purpose: 'drawn', outcome: 'status_5xx', status: 500 },
      { provider: 'old', purpose: 'failover', outcome: 'success', status: 200 },
    ],
  });
});

it('splits by key as anyone can recompute it, and goes back to legacy at share 0', async () => {
  await pair().gateway.route(0.5, { salt: 'pepper' });
  const client = pair().gateway.client();
  for (let user = 0; user < 40; user += 1) {
    const { response } = await client.chat.completions.create({ ...ASK, user: `u${user}` }).withResponse();
    const provider = assign('pepper', `u${user}`, 0.5) === 'candidate' ? 'new' : 'old';
    expect(response.headers.get('x-cutover-provider')).toBe(provider);
  }
  await pair().gateway.route(0);
  const seen = pair().candidate.requestCount;
  for (let user = 0; user < 10; user += 1) await client.chat.completions.create({ ...ASK, user: `u${user}` });
  expect(pair().candidate.requestCount).toBe(seen);
});
