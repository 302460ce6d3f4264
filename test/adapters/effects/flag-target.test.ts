import { effectContext, effectTargets, NEVER, ON_LOOPBACK } from '../../support/effect-trial';
import { type EffectReceiver, startEffectReceiver } from '../../support/servers/effect-receiver';

let service: EffectReceiver;
let values: Map<string, unknown>;
let lies: boolean;

beforeEach(async () => {
  values = new Map<string, unknown>([
    ['answer model', 'large'],
    ['rollout', 0],
  ]);
  lies = false;
  service = await startEffectReceiver(({ method, url, headers, body }, response) => {
    const flag = decodeURIComponent(url.split('/').at(-1) ?? '');
    if (headers['x-api-key'] !== 'flag-key') response.writeHead(401).end();
    else if (!values.has(flag)) response.writeHead(404).end('{"error":"no such flag"}');
    else {
      if (method === 'PUT' && !lies) values.set(flag, (JSON.parse(body) as { value: unknown }).value);
      response.writeHead(200).end(JSON.stringify({ data: { value: values.get(flag) } }));
    }
  });
});

afterEach(() => service.stop());

const targets = (fields: object = {}) =>
  effectTargets(
    {
      flags: {
        type: 'flag',
        auth: { header: 'x-api-key', key: 'env:KEY' },
        get: { url: `${service.url}/flags/{{flag}}`, value: '/data/value' },
        set: { url: `${service.url}/flags/{{flag}}`, body: { value: '{{value}}', comment: '{{reason}}' } },
        ...ON_LOOPBACK,
        ...fields,
      },
    },
    { 'env:KEY': 'flag-key', 'env:OTHER': 'another-key' },
  );

const rollout = { name: 'flags', set: { flag: 'rollout', value: '{{percent}}' } };

it('captures the value, sets another with its type, and puts the first one back', async () => {
  const one = targets();
  const effect = {
    name: 'flags',
    set: { flag: 'answer model', value: { model: 'small', share: '{{share}}' } },
  };
  const captured = await one.capture(effect, effectContext(), NEVER);
  expect(captured).toBe('large');
  expect(await one.apply(effect, 'k', effectContext(), NEVER)).toContain('answer model is {"model":"small"');
  expect(values.get('answer model')).toEqual({ model: 'small', share: '10%' });
  expect(await one.restore(effect, captured, 'k:restore', effectContext(), NEVER)).toBe(
    'answer model is "large"',
  );
  expect(values.get('answer model')).toBe('large');
});

it('sets a number where the plan says a variable, once, and sees when it was done already', async () => {
  const one = targets();
  expect(await one.apply(rollout, 'k', effectContext(), NEVER)).toBe('rollout is 10');
  expect(await one.apply(rollout, 'k', effectContext(), NEVER)).toBe('rollout was already 10');
  const writes = service.received.filter(({ method }) => method === 'PUT');
  expect(writes.map(({ body, headers }) => [JSON.parse(body), headers['idempotency-key']])).toEqual([
    [{ value: 10, comment: 'contract ends in May' }, 'k'],
  ]);
});

it('does not believe a service that says yes and changes nothing', async () => {
  lies = true;
  await expect(targets().apply(rollout, 'k', effectContext(), NEVER)).rejects.toMatchObject({
    retryable: true,
    message: 'expected rollout to be 10 after setting it, got 0',
  });
});

it.each([
  ['a flag that is not there', {}, { flag: 'nowhere', value: 1 }, 'answered 404'],
  [
    'a key that is not known',
    { auth: { bearer: 'env:OTHER' } },
    { flag: 'rollout', value: 1 },
    'answered 401',
  ],
])('is refused %s', async (_what, fields, set, message) => {
  await expect(targets(fields).capture({ name: 'flags', set }, effectContext(), NEVER)).rejects.toMatchObject(
    {
      retryable: false,
      message: expect.stringContaining(message),
    },
  );
});

it('says where it looked for a value and found none', async () => {
  const get = { url: `${service.url}/flags/{{flag}}`, value: '/data/constructor' };
  await expect(targets({ get }).capture(rollout, effectContext(), NEVER)).rejects.toThrow(
    'expected JSON with a value at /data/constructor for the flag "rollout", got none',
  );
});

it('carries no more than 4 KB into a history', async () => {
  values.set('rollout', 'x'.repeat(5_000));
  await expect(targets().capture(rollout, effectContext(), NEVER)).rejects.toMatchObject({
    retryable: false,
    message: expect.stringContaining('expected at most 4096 bytes to restore "flags" from, got 5002'),
  });
});
