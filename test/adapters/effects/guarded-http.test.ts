import { type HttpLimits, reachGuarded, sendGuarded } from '../../../src/adapters/effects/guarded-http';
import { NEVER, ON_LOOPBACK } from '../../support/effect-trial';
import { type EffectReceiver, startEffectReceiver } from '../../support/servers/effect-receiver';

const LIMITS: HttpLimits = { timeoutMs: 10_000, ...ON_LOOPBACK };

let receiver: EffectReceiver;

beforeAll(async () => {
  receiver = await startEffectReceiver(({ url }, response) => {
    const [, kind = ''] = url.split('/');
    switch (kind) {
      case 'redirect':
        response.writeHead(302, { location: '/ok' }).end();
        break;
      case 'huge':
        response.writeHead(200).end('x'.repeat(300_000));
        break;
      case 'silent':
        break;
      case 'never-ending':
        response.writeHead(200).write('{');
        break;
      case 'later':
        response.writeHead(429, { 'retry-after': '7' }).end('slow down');
        break;
      case 'echo':
        response.writeHead(403).end('you sent token-canary\u001b[31m and  more');
        break;
      default:
        response.writeHead(Number(kind) || 200).end('fine');
    }
  });
});

afterAll(() => receiver.stop());

const send = (path: string, limits: Partial<HttpLimits> = {}, url = receiver.url) =>
  sendGuarded(
    { method: 'POST', url: `${url}${path}`, headers: {}, body: '{}', secrets: ['token-canary'] },
    { ...LIMITS, ...limits },
    NEVER,
  );

it('gives the answer back', async () => {
  expect(await send('/ok')).toEqual({ status: 200, text: 'fine' });
});

it.each([
  ['/500', true, 'answered 500: fine'],
  ['/503', true, 'answered 503'],
  ['/400', false, 'answered 400'],
  ['/redirect', false, 'answered 302, a redirect, which is never followed'],
  ['/huge', false, 'answered more than 262144 bytes'],
])('says of %s whether to come again (%s)', async (path, retryable, message) => {
  const before = receiver.received.length;
  await expect(send(path)).rejects.toMatchObject({
    name: 'EffectProblem',
    retryable,
    message: expect.stringContaining(message),
  });
  expect(receiver.received.length - before).toBe(1);
});

it.each(['/silent', '/never-ending'])('gives up on %s in time', async (path) => {
  await expect(send(path, { timeoutMs: 200 })).rejects.toMatchObject({
    retryable: true,
    message: expect.stringContaining('did not answer within 200 ms'),
  });
});

it('stops at once when it is told to', async () => {
  const stop = new AbortController();
  const call = { method: 'GET' as const, url: `${receiver.url}/silent`, headers: {}, secrets: [] };
  const sent = sendGuarded(call, LIMITS, stop.signal);
  stop.abort(new Error('cancelled'));
  await expect(sent).rejects.toThrow('cancelled');
});

it('comes back no earlier than it is asked to', async () => {
  await expect(send('/later')).rejects.toMatchObject({ retryable: true, retryAfterMs: 7_000 });
});

it('repeats neither secrets nor control characters of an answer', async () => {
  await expect(send('/echo')).rejects.toThrow(/answered 403: you sent \(secret\) \[31m and more$/);
});

it.each([
  ['http://127.0.0.1:1', 'is loopback or private'],
  ['http://[::1]:1', 'is loopback or private'],
  ['http://[::ffff:127.0.0.1]:1', 'is loopback or private'],
  ['http://2130706433:1', 'is loopback or private'],
  ['http://localhost:1', 'is loopback or private'],
])('does not connect to %s where the configuration does not say so', async (url, reason) => {
  await expect(send('/', { allowPrivate: false }, url)).rejects.toMatchObject({
    retryable: false,
    message: expect.stringContaining(reason),
  });
});

it.each([
  'http://169.254.169.254/latest/meta-data/',
  'http://[fe80::1]/',
  'http://[fd00:ec2::254]/',
  'http://[::ffff:169.254.169.254]/',
])('never connects to %s', async (url) => {
  for (const allowPrivate of [true, false]) {
    await expect(send('', { allowPrivate }, url)).rejects.toMatchObject({
      retryable: false,
      message: expect.stringContaining('is link-local or a metadata service'),
    });
  }
});

it('speaks http only where the configuration says so', async () => {
  await expect(send('/ok', { allowHttp: false })).rejects.toThrow('expected https://, or allowHttp: true');
  await expect(send('', {}, 'file:///etc/passwd')).rejects.toThrow('expected https://');
});

it('can be reached without being sent anything', async () => {
  const before = receiver.received.length;
  expect(await reachGuarded(`${receiver.url}/secret-path`, LIMITS, NEVER)).toBe(
    `connects to 127.0.0.1:${receiver.port} at 127.0.0.1 port ${receiver.port}; nothing was sent`,
  );
  expect(receiver.received.length).toBe(before);
  await expect(reachGuarded('http://127.0.0.1:1', LIMITS, NEVER)).rejects.toMatchObject({
    retryable: true,
    message: '127.0.0.1:1: ECONNREFUSED',
  });
});
