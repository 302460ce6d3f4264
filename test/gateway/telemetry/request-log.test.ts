import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readFacts } from '../../../src/gateway/request/request-facts';
import { startDemoPair } from '../../support/gateways/demo-pair';
import {
  ADMIN_TOKEN,
  ASK,
  MAPPED_MODEL,
  MODEL,
  startTestGateway,
} from '../../support/gateways/running-gateway';
import { ofFile } from '../../support/of-file';
import { type Fault, startFaultProvider, well } from '../../support/providers/fault-provider';
import { analyzeFiles } from '../../support/usage-analysis';

const pair = ofFile(startDemoPair);

const tool = { type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } };
const image = { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,AAAA' } };

it('is what cutover assess takes it for: calls, tokens, times, features and failures', async () => {
  const client = pair().gateway.client();
  const plain = await client.chat.completions.create(ASK);
  for await (const _ of await client.chat.completions.create({ ...ASK, stream: true, tools: [tool] }));
  await client.chat.completions.create({ ...ASK, messages: [{ role: 'user', content: [image] }] });
  await client.embeddings.create({ model: 'text-embedding-3-small', input: 'Hello?' });
  await client.models.list();
  pair().legacy.behaviour.failureRatio = 1;
  await client.chat.completions.create(ASK, { maxRetries: 0 }).catch(() => undefined);
  pair().legacy.behaviour.failureRatio = 0;

  // The line of a call with tools waits until its answer has been judged.
  while (pair().gateway.log.length < 6) await sleep(5);
  const folder = mkdtempSync(join(tmpdir(), 'request-log-'));
  const file = join(folder, 'gateway.jsonl');
  writeFileSync(
    file,
    pair()
      .gateway.log.map((line) => `${JSON.stringify(line)}\n`)
      .join(''),
  );
  try {
    const { analysis } = await analyzeFiles([file]);
    expect(analysis.sources[0]).toMatchObject({ format: 'gateway', rejects: { total: 0 } });
    const { prompt_tokens: input = 0, completion_tokens: output = 0 } = plain.usage ?? {};
    expect(analysis.totals).toMatchObject({ calls: 5, failed: 1, outputTokens: 3 * output, cachedTokens: 0 });
    expect(analysis.totals.inputTokens).toBeGreaterThanOrEqual(3 * input);
    expect(analysis.latencyMs?.count).toBe(5);
    expect(analysis.firstTokenMs?.count).toBe(1);
    const features = Object.fromEntries(analysis.features.map(({ feature, calls }) => [feature, calls]));
    expect(features).toEqual({ streaming: 1, tools: 1, jsonSchema: 0, vision: 1, embeddings: 1 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('shows characters that steer a terminal or turn the direction of text as escapes', async () => {
  const lines: string[] = [];
  const other = await startTestGateway({
    legacyUrl: pair().legacy.url,
    candidateUrl: pair().candidate.url,
    options: { log: { write: (line: string) => void lines.push(line) } },
  });
  const model = 'gpt\u009b31m\u202e\u2028\u200b\u{e0041}\u007f-4o';
  await other
    .client()
    .chat.completions.create({ ...ASK, model })
    .catch(() => undefined);
  const by = 'ada\u009b2J\u202e';
  await fetch(`${other.adminUrl}/admin/v1/routes/chat/kill`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    body: JSON.stringify({ by, reason: 'odd' }),
  });
  await other.stop();
  const text = lines.join('');
  expect(text.replaceAll('\n', '')).toMatch(/^[ -~]+$/);
  expect(lines.map((line) => JSON.parse(line).model)).toContain(model);
  expect(text).toContain('gpt\\u009b31m\\u202e\\u2028\\u200b\\udb40\\udc41\\u007f-4o');
  expect(text).toContain('ada\\u009b2J\\u202e');
});

it('says nothing of tokens that nobody counted', () => {
  const [embeddings] = pair().gateway.log.filter(({ path }) => path === '/embeddings');
  expect(embeddings).toMatchObject({ outcome: 'success', model: 'text-embedding-3-small' });
  expect(embeddings).not.toHaveProperty('tokensIn');
});

it('says what model was asked for, what is configured, and what the answer says', async () => {
  const ANSWERED = `${MAPPED_MODEL}-2026-07-01`;
  const provider = await startFaultProvider(well);
  const dated =
    (fault: Fault): Fault =>
    (exchange) => {
      const { response } = exchange;
      const write = (text: unknown) => String(text).replaceAll(`"${MAPPED_MODEL}"`, `"${ANSWERED}"`);
      const [end, send] = [response.end.bind(response), response.write.bind(response)];
      response.write = ((text: unknown) => send(write(text))) as typeof response.write;
      response.end = ((text?: unknown) =>
        text === undefined ? end() : end(write(text))) as typeof response.end;
      fault(exchange);
    };
  provider.fault = dated(well);
  const other = await startTestGateway({ legacyUrl: provider.url, candidateUrl: provider.url });
  try {
    await other.route(1);
    await other.client().chat.completions.create(ASK);
    for await (const _ of await other.client().chat.completions.create({ ...ASK, stream: true }));
    provider.fault = ({ response }) => response.writeHead(500).end();
    await other
      .client()
      .chat.completions.create(ASK)
      .catch(() => undefined);
    while (other.log.length < 3) await sleep(5);
  } finally {
    await other.stop();
    await provider.stop();
  }
  const models = { model: MODEL, servedModel: MAPPED_MODEL, answeredModel: ANSWERED };
  expect(other.log.slice(0, 2)).toMatchObject([models, models]);
  expect(other.log[2]).not.toHaveProperty('answeredModel');
});

describe('the features that a request asks for', () => {
  const features = (body: object) =>
    readFacts(Buffer.from(JSON.stringify({ model: 'm', ...body })))?.features;
  const NONE = { tools: false, jsonSchema: false, vision: false };

  it.each<[string, object, Partial<typeof NONE>]>([
    ['none', { messages: [{ role: 'user', content: 'an image_url' }], tools: [], response_format: null }, {}],
    ['tools', { tools: [tool] }, { tools: true }],
    ['functions of old', { functions: [tool.function] }, { tools: true }],
    ['a schema', { response_format: { type: 'json_schema', json_schema: {} } }, { jsonSchema: true }],
    ['JSON without a schema', { response_format: { type: 'json_object' } }, {}],
    ['a schema of Responses', { text: { format: { type: 'json_schema' } } }, { jsonSchema: true }],
    [
      'an image',
      { messages: [{ role: 'user', content: [{ type: 'text', text: '' }, image] }] },
      { vision: true },
    ],
    ['an image of Responses', { input: [{ content: [{ type: 'input_image' }] }] }, { vision: true }],
    [
      'odd shapes',
      { messages: [null, { content: [null, 'image'] }], input: 'image', tools: {}, text: 7 },
      {},
    ],
  ])('are %s', (_, body, expected) => {
    expect(features(body)).toEqual({ ...NONE, ...expected });
  });
});
