import { signatureHeaders, verifyMessage } from '../../../src/core/effects/webhook-signature';

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const BODY = '{"test": 2432232314}';

describe('a signed message', () => {
  const headers = signatureHeaders(SECRET, { id: 'chat-1:5:pager', body: BODY, nowMs: NOW_MS });

  it('is taken by a receiver that has the secret, with its key', () => {
    expect(verifyMessage([SECRET], { headers, body: BODY }, NOW_MS)).toEqual({
      ok: true,
      id: 'chat-1:5:pager',
    });
    expect(verifyMessage(['another secret of text', SECRET], { headers, body: BODY }, NOW_MS).ok).toBe(true);
  });

  it('has the signature that the specification gives as its example', () => {
    const example = signatureHeaders(SECRET, {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      body: BODY,
      nowMs: 1_614_265_330_000,
    });
    expect(example['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it.each([
    ['another body', { headers, body: `${BODY} ` }, NOW_MS, 'the signature does not match'],
    [
      'another key',
      { headers: { ...headers, 'webhook-id': 'x' }, body: BODY },
      NOW_MS,
      'the signature does not match',
    ],
    ['the replay window over', { headers, body: BODY }, NOW_MS + 301_000, 'is more than 300 s off'],
    ['a time to come', { headers, body: BODY }, NOW_MS - 301_000, 'is more than 300 s off'],
    ['no headers', { headers: {}, body: BODY }, NOW_MS, 'expected the headers webhook-id'],
    [
      'a time that is none',
      { headers: { ...headers, 'webhook-timestamp': '1e9' }, body: BODY },
      NOW_MS,
      'expected the headers',
    ],
    [
      'no version',
      { headers: { ...headers, 'webhook-signature': 'v0,AAAA' }, body: BODY },
      NOW_MS,
      'does not match',
    ],
  ])('is refused with %s', (_what, message, nowMs, reason) => {
    expect(verifyMessage([SECRET], message, nowMs)).toEqual({
      ok: false,
      reason: expect.stringContaining(reason),
    });
  });

  it('wants a secret that cannot be guessed', () => {
    expect(() => signatureHeaders('short', { id: 'a', body: '', nowMs: NOW_MS })).toThrow(
      'expected a webhook secret of at least 16 bytes, got 5',
    );
  });
});
