import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { request } from 'undici';
import { isSampled, takeTraceContext } from '../../../src/gateway/telemetry/trace-context';
import { traceSettings } from '../../../src/gateway/telemetry/trace-settings';
import { built, runCli, runNode } from '../../support/cli';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { ProcessGateway } from '../../support/gateways/process-gateway';
import { MODEL, ROUTE } from '../../support/gateways/running-gateway';
import { startTraceReceiver, type TraceReceiver } from '../../support/servers/trace-receiver';

jest.setTimeout(120_000);

const CALLERS = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const TEXT = 'a text of the caller';
const directory = temporaryDirectory();

interface Provider {
  readonly url: string;
  readonly headers: IncomingHttpHeaders[];
  status: number;
  stop(): void;
}

/** Answers chats, plain and streamed; keeps the headers that came. */
async function startProvider(model: string): Promise<Provider> {
  const headers: IncomingHttpHeaders[] = [];
  const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
  const server: Server = createServer((received, response) => {
    let body = '';
    received.on('data', (piece: Buffer) => {
      body += piece.toString();
    });
    received.on('end', () => {
      headers.push(received.headers);
      const { stream = false } = JSON.parse(body) as { stream?: boolean };
      if (provider.status !== 200) {
        response.writeHead(provider.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message: `no: ${TEXT}`, type: 'server_error' } }));
        return;
      }
      if (!stream) {
        const choices = [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }];
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify({ id: 'c-1', object: 'chat.completion', created: 1, model, choices, usage }),
        );
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const event = (choices: object[], more: object = {}) =>
        response.write(
          `data: ${JSON.stringify({ id: 'c-1', object: 'chat.completion.chunk', created: 1, model, choices, ...more })}\n\n`,
        );
      event([{ index: 0, delta: { role: 'assistant', content: TEXT }, finish_reason: null }]);
      event([{ index: 0, delta: {}, finish_reason: 'stop' }]);
      event([], { usage });
      response.end('data: [DONE]\n\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const provider: Provider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    headers,
    status: 200,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return provider;
}

let receiver: TraceReceiver;
let legacy: Provider;
let candidate: Provider;

beforeAll(async () => {
  receiver = await startTraceReceiver();
  legacy = await startProvider('old-2026');
  candidate = await startProvider('new-2026');
});
afterAll(async () => {
  legacy?.stop();
  candidate?.stop();
  await receiver?.stop();
});
beforeEach(() => {
  candidate.status = 200;
  receiver.answer = (response) => void response.end('{}');
  for (const list of [receiver.spans, receiver.bodies, receiver.headers, legacy.headers, candidate.headers]) {
    list.length = 0;
  }
});

async function startGateway(name: string, processes: number, env: Readonly<Record<string, string>>) {
  const gateway = await ProcessGateway.start({
    ...{ directory: join(directory, name), legacyUrl: legacy.url, candidateUrl: candidate.url, processes },
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '50', ...env },
  });
  await gateway.push({ share: 1 });
  return gateway;
}

async function ask(gateway: ProcessGateway, headers: Record<string, string> = {}, body: object = {}) {
  const answer = await request(`${gateway.dataUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer a-callers-key', ...headers },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: TEXT }], ...body }),
  });
  await answer.body.text();
  return answer.statusCode;
}

it('sends a span of each request and of each provider that was asked, in the trace of the caller', async () => {
  const gateway = await startGateway('protobuf', 1, {
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=team%20a',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
  });
  candidate.status = 503;
  expect(await ask(gateway, { traceparent: CALLERS, tracestate: 'vendor=1' })).toBe(200);
  await receiver.until(['chat gpt-4o', 'chat gpt-4o-mini', 'chat gpt-4o']);
  await gateway.stop();

  const [, traceId, callersSpan] = CALLERS.split('-');
  const [served] = receiver.spans.filter(({ kind }) => kind === 2);
  const asked = (provider: string) =>
    receiver.spans.find(
      ({ kind, attributes }) => kind === 3 && attributes['gen_ai.provider.name'] === provider,
    );
  expect(served).toMatchObject({
    ...{ traceId, parentSpanId: callersSpan, name: 'chat gpt-4o', failed: false },
    attributes: {
      ...{
        'http.request.method': 'POST',
        'url.path': '/v1/chat/completions',
        'http.response.status_code': 200,
      },
      ...{
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.response.model': 'old-2026',
      },
      ...{ 'gen_ai.provider.name': 'old', 'gen_ai.usage.input_tokens': 7, 'gen_ai.usage.output_tokens': 3 },
      ...{
        'cutover.route': ROUTE,
        'cutover.arm': 'candidate',
        'cutover.epoch': 1,
        'cutover.failover': 'status_5xx',
      },
    },
    events: [
      {
        name: 'cutover.failover',
        attributes: { 'gen_ai.provider.name': 'old', 'cutover.failover': 'status_5xx' },
      },
    ],
    resource: {
      ...{ 'service.name': 'cutover-gateway', 'deployment.environment': 'test' },
      'service.instance.id': expect.stringMatching(/./),
    },
  });
  expect(asked('new')).toMatchObject({
    ...{ traceId, parentSpanId: served?.spanId, name: 'chat gpt-4o-mini', failed: true },
    attributes: {
      ...{ 'gen_ai.request.model': 'gpt-4o-mini', 'http.response.status_code': 503 },
      ...{ 'server.address': '127.0.0.1', 'server.port': Number(new URL(candidate.url).port) },
      'error.type': 'status_5xx',
    },
  });
  expect(asked('old')).toMatchObject({ traceId, parentSpanId: served?.spanId, failed: false });
  // Each provider is told its own span as the parent.
  expect(candidate.headers[0]).toMatchObject({
    ...{ traceparent: `00-${traceId}-${asked('new')?.spanId}-01`, tracestate: 'vendor=1' },
  });
  expect(legacy.headers[0]?.['traceparent']).toBe(`00-${traceId}-${asked('old')?.spanId}-01`);
  for (const { startNs, endNs } of receiver.spans) {
    expect(endNs).toBeGreaterThanOrEqual(startNs);
    expect(Math.abs(startNs / 1e6 - Date.now())).toBeLessThan(60_000);
  }
  expect(receiver.headers[0]).toMatchObject({
    'x-tenant': 'team a',
    'content-type': 'application/x-protobuf',
  });
  const sent = Buffer.concat(receiver.bodies).toString('latin1');
  expect(sent).toContain('gen_ai.request.model');
  for (const secret of [TEXT, 'a-callers-key']) expect(sent).not.toContain(secret);
});

it('traces streams from several processes as zipped JSON, and keeps to what a caller decided', async () => {
  const gateway = await startGateway('json', 2, {
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  });
  expect(await ask(gateway, { traceparent: CALLERS.replace(/01$/, '00') }, { stream: true })).toBe(200);
  expect(candidate.headers[0]?.['traceparent']).toMatch(
    /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/,
  );
  expect(await ask(gateway, { traceparent: 'not a trace', tracestate: 'vendor=1' }, { stream: true })).toBe(
    200,
  );
  await receiver.until(['chat gpt-4o', 'chat gpt-4o-mini']);
  expect(await gateway.metric('cutover_trace_spans_total', 'result="exported"')).toBe(2);
  await gateway.stop();
  expect(receiver.headers[0]).toMatchObject({
    'content-type': 'application/json',
    'content-encoding': 'gzip',
  });
  const [served] = receiver.spans.filter(({ kind }) => kind === 2);
  expect(receiver.spans).toHaveLength(2);
  expect(served).toMatchObject({
    parentSpanId: '',
    attributes: { 'gen_ai.response.model': 'new-2026', 'cutover.first_token_ms': expect.any(Number) },
  });
  expect(served?.traceId).not.toBe('0af7651916cd43dd8448eb211c80319c');
  expect(candidate.headers[1]).toMatchObject({
    traceparent: expect.stringContaining(served?.traceId ?? '-'),
  });
  expect(candidate.headers[1]?.['tracestate']).toBeUndefined();
});

it('serves on while the collector hangs, refuses or is gone, and counts the spans that it loses', async () => {
  const gateway = await startGateway('lost', 1, {
    ...{
      OTEL_BSP_MAX_QUEUE_SIZE: '8',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '4',
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
    },
  });
  const count = async (result: string) =>
    (await gateway.metric('cutover_trace_spans_total', `result="${result}"`)) ?? 0;
  const burst = () => Promise.all(Array.from({ length: 30 }, () => ask(gateway)));
  receiver.answer = () => {};
  expect(new Set(await burst())).toEqual(new Set([200]));
  expect(await count('dropped')).toBeGreaterThan(40);
  receiver.answer = (response) => {
    response.writeHead(400);
    response.end();
  };
  const failed = await count('failed');
  while ((await count('failed')) === failed) expect(await ask(gateway)).toBe(200);
  await receiver.stop();
  expect(new Set(await burst())).toEqual(new Set([200]));
  expect(await count('dropped')).toBeGreaterThan(80);
  expect(
    gateway.log.filter(({ msg }) => String(msg).startsWith('traces cannot be delivered to')),
  ).toHaveLength(1);
  await gateway.stop();
  receiver = await startTraceReceiver();
});

it('loads nothing of it where no endpoint is named', async () => {
  const script = `
    const { openTracing } = require(process.argv[1]);
    require(process.argv[2]);
    const loaded = () => Object.keys(require.cache).some((path) => /telemetry.(tracing|otlp-encoding)\\.js$/.test(path));
    const options = { gateway: 'g', now: () => 0, warn: () => {} };
    const off = [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' }]
      .map((env) => openTracing(env, options));
    const before = loaded();
    openTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, options);
    console.log(JSON.stringify({ off, before, after: loaded() }));
  `;
  const modules = ['telemetry/open-tracing.js', 'main.js'].map((file) => built('src', 'gateway', file));
  const { stdout } = await runNode('--eval', [script, ...modules]);
  expect(JSON.parse(stdout)).toEqual({ off: [null, null], before: false, after: true });
});

it.each([
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', 'expected http/protobuf or http/json, got "grpc"'],
  [
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    'localhost:4317',
    'expected an http or https URL such as http://127.0.0.1:4318',
  ],
  ['OTEL_EXPORTER_OTLP_COMPRESSION', 'br', 'expected gzip or none, got "br"'],
  ['OTEL_TRACES_SAMPLER', 'jaeger_remote', 'expected always_on, always_off or traceidratio'],
  ['OTEL_BSP_MAX_QUEUE_SIZE', '0', 'expected a whole number above 0, got "0"'],
])('says of %s=%s what was expected', (name, value, expected) => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', [name]: value };
  expect(() => traceSettings(env, {})).toThrow(`${name}: ${expected}`);
});

it('does not show what a list of headers holds', () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
    OTEL_EXPORTER_OTLP_HEADERS: 'a-secret',
  };
  expect(() => traceSettings(env, {})).toThrow(
    'expected key=value pairs separated by commas, got one that is not',
  );
});

it('does not start a gateway whose traces it cannot send', async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  const config = join(directory, 'protobuf', 'cutover.json');
  const { code, stderr } = await runCli(['gateway', '--config', config], {
    env: { ...env, CUTOVER_ADMIN_TOKEN: 'x' },
  });
  expect({ code, stderr }).toEqual({
    ...{
      code: 2,
      stderr: expect.stringContaining('OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf or http/json'),
    },
  });
});

it.each([
  [['Traceparent', CALLERS, 'accept', '*/*'], 'b7ad6b7169203331', ['accept', '*/*']],
  [['traceparent', `${CALLERS}-more`], null, []],
  [['traceparent', CALLERS.replace(/^00/, 'cc').concat('-more')], 'b7ad6b7169203331', []],
  [['traceparent', CALLERS.replace(/^00/, 'ff')], null, []],
  [['traceparent', CALLERS.toUpperCase()], null, []],
  [['traceparent', CALLERS.replace('b7ad6b7169203331', '0000000000000000'), 'tracestate', 'a=1'], null, []],
  [['traceparent', CALLERS, 'traceparent', CALLERS], null, []],
])('reads the context of %j', (headers, spanId, rest) => {
  const taken = takeTraceContext(headers);
  expect(taken.caller?.spanId ?? null).toBe(spanId);
  expect(taken.rest).toEqual(rest);
});

it('keeps the part of the traces that is asked for', () => {
  expect(isSampled('0'.repeat(32), 0)).toBe(false);
  expect(isSampled('f'.repeat(32), 1)).toBe(true);
  expect(isSampled(`${'0'.repeat(19)}7ffffffffffff`, 0.5)).toBe(true);
  expect(isSampled(`${'0'.repeat(19)}8000000000000`, 0.5)).toBe(false);
});
