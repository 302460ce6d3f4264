import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import { DONE, HELLO, plain, ROLE, STOP, sse, status } from '../../support/providers/fault-provider';

const EMBEDDER = 'text-embedding-3-small';

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeEach(async () => {
  gateway = await trial.start({
    route: {
      models: {
        [MODEL]: {
          candidate: 'other',
          parameters: { set: { thinking: { type: 'disabled' }, provider: { only: ['b'] } } },
          legacyParameters: {
            rename: { max_tokens: 'max_completion_tokens' },
            drop: ['top_k'],
            set: { provider: { only: ['a'] }, stream_options: { include_obfuscation: false } },
          },
        },
        [EMBEDDER]: { candidate: EMBEDDER, legacyParameters: { set: { dimensions: 256 } } },
      },
    },
  });
});

async function send(path: string, body: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${gateway.dataUrl}/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  return { status: answer.status, text: await answer.text() };
}

const ODD = '"seed" : 9007199254740993,"user":"\\u00e9\\/", "n":1.0';
const MESSAGES = '"messages":[{"role":"user","content":"Hello?"}]';

function asked(more: string, model = MODEL): string {
  return `{"model":"${model}",${ODD},"max_tokens":9,${more}\n${MESSAGES} }`;
}

const OF_LEGACY = `{"model":"${MODEL}",${ODD},"max_completion_tokens":9,"provider":{"sort" : "price","only":["a"]},\n${MESSAGES},"stream_options":{"include_obfuscation":false} }`;
const PINNED = '"top_k":5,"provider":{"sort" : "price","only":["z"]},';

it('gives each provider what its own rules say, and every other byte as it came', async () => {
  await send('/chat/completions', asked(PINNED));
  expect(legacy.bodies).toEqual([OF_LEGACY]);
  await gateway.route(1);
  await send('/chat/completions', asked('"provider":{"sort" : "price"},"thinking":"auto",'));
  expect(candidate.bodies).toEqual([
    `{"model":"other",${ODD},"max_tokens":9,"provider":{"sort" : "price","only":["b"]},"thinking":{"type":"disabled"},\n${MESSAGES} }`,
  ]);
});

it('asks legacy by its rules when the candidate fails', async () => {
  await gateway.route(1);
  candidate.fault = status(500);
  expect(await send('/chat/completions', asked(PINNED))).toMatchObject({ status: 200 });
  expect(candidate.bodies).toHaveLength(1);
  expect(legacy.bodies).toEqual([OF_LEGACY]);
});

it('asks legacy once more by its rules after a refusal', async () => {
  await gateway.route(0.000001);
  legacy.fault = status(400);
  expect(await send('/chat/completions', asked(PINNED))).toMatchObject({ status: 400 });
  const deadline = Date.now() + 10_000;
  while (legacy.bodies.length < 2 && Date.now() < deadline) await new Promise((next) => setTimeout(next, 10));
  expect(legacy.bodies).toEqual([OF_LEGACY, OF_LEGACY]);
});

it("asks for a stream's usage along with the options that are set, and keeps the answer as it was", async () => {
  const usage = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n';
  legacy.fault = sse([ROLE, HELLO, STOP, usage, DONE]);
  const { text } = await send('/chat/completions', asked('"stream":true,"stream_options":{"x" : 1e400},'));
  expect(text).toBe(ROLE + HELLO + STOP + DONE);
  expect(legacy.bodies[0]).toContain(
    '"stream_options":{"x" : 1e400,"include_obfuscation":false,"include_usage":true}',
  );
});

it('follows the rules of legacy in what is bound to it, and in embeddings', async () => {
  legacy.fault = plain('{"id":"resp_1","object":"response","status":"completed","output":[]}');
  await send('/responses', `{"model":"${MODEL}", "previous_response_id":"resp_0","input":"x","top_k":1}`);
  expect(legacy.bodies.at(-1)).toBe(
    `{"model":"${MODEL}", "previous_response_id":"resp_0","input":"x","provider":{"only":["a"]},"stream_options":{"include_obfuscation":false}}`,
  );
  await send('/embeddings', `{"model":"${EMBEDDER}", "input":"x","dimensions":1024}`);
  expect(legacy.bodies.at(-1)).toBe(`{"model":"${EMBEDDER}", "input":"x","dimensions":256}`);
});

it('leaves a model without a mapping as it came', async () => {
  await send('/chat/completions', asked(PINNED, 'unmapped'));
  expect(legacy.bodies).toEqual([asked(PINNED, 'unmapped')]);
});
