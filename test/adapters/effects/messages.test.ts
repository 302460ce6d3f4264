import { verifyMessage } from '../../../src/core/effects/webhook-signature';
import { effectContext, effectTargets, NEVER, ON_LOOPBACK } from '../../support/effect-trial';
import { type EffectReceiver, startEffectReceiver } from '../../support/servers/effect-receiver';

const SECRET = 'a secret of more than sixteen bytes';

let receiver: EffectReceiver;

beforeEach(async () => {
  receiver = await startEffectReceiver(({ url }, response, count) => {
    response.writeHead(url === '/flaky' && count === 1 ? 503 : 200).end('ok');
  });
});

afterEach(() => receiver.stop());

const targets = (effects: object, links: object = {}) =>
  effectTargets(
    effects,
    {
      'env:HOOK': `${receiver.url}/services/secret`,
      'env:SECRET': SECRET,
      'env:FLAKY': `${receiver.url}/flaky`,
    },
    links,
  );

const webhook = (fields: object = {}) => ({
  type: 'webhook',
  url: `${receiver.url}/events`,
  secret: 'env:SECRET',
  ...ON_LOOPBACK,
  ...fields,
});

describe('a channel', () => {
  const channel = { type: 'slack', url: 'env:HOOK', ...ON_LOOPBACK };

  it('reads what happened, who asked, and where there is more', async () => {
    const links = { temporalUi: 'https://temporal.test', report: 'https://cutover.test/{{route}}' };
    const note = await targets({ channel }, links).apply(
      { name: 'channel', set: {} },
      'k',
      effectContext(),
      NEVER,
    );
    expect(note).toBe('the channel was notified');
    const [message] = receiver.received;
    expect(message).toMatchObject({ method: 'POST', url: '/services/secret' });
    expect(JSON.parse(message?.body ?? '')).toEqual({
      mrkdwn: false,
      text: [
        'chat: stage entered, stage canary, 0% → 10% (checkpoint 5, by ana) contract ends in May',
        'Temporal: https://temporal.test/namespaces/default/workflows/cutover%2Fchat/run-1',
        'Report: https://cutover.test/chat',
        'Record hash: abc123',
      ].join('\n'),
    });
  });

  it('shows script, mentions, links and markup in a reason as text', async () => {
    const reason =
      '<script>alert(1)</script> <!channel> <https://evil.test|here> @all [x](http://evil.test) *b*\nnew';
    const context = effectContext({ reason, headHash: null });
    await targets({ channel }).apply({ name: 'channel', set: { text: '{{reason}}' } }, 'k', context, NEVER);
    const { text } = JSON.parse(receiver.received[0]?.body ?? '') as { text: string };
    expect(text).toBe(
      '&lt;script&gt;alert(1)&lt;/script&gt; &lt;!channel&gt; &lt;https://evil.test|here&gt; @\u200ball ' +
        '\u200b[x\u200b](http://evil.test) \u200b*b\u200b* new',
    );
  });

  it('cannot be made to read books', async () => {
    const context = effectContext({ reason: '<'.repeat(100_000) });
    await targets({ channel }).apply({ name: 'channel', set: {} }, 'k', context, NEVER);
    expect(
      (JSON.parse(receiver.received[0]?.body ?? '') as { text: string }).text.length,
    ).toBeLessThanOrEqual(4_000);
  });

  it('is told once of what is repeated by us, and again of what failed', async () => {
    const flaky = targets({ channel: { ...channel, url: 'env:FLAKY' } });
    const tell = () => flaky.apply({ name: 'channel', set: {} }, 'k', effectContext(), NEVER);
    await expect(tell()).rejects.toThrow('answered 503');
    expect(await tell()).toBe('the channel was notified');
    expect(await tell()).toBe('the channel had already been notified');
    expect(receiver.received).toHaveLength(2);
  });

  it('has nothing to capture and nothing to undo', async () => {
    const one = targets({ channel });
    expect(await one.capture({ name: 'channel', set: {} }, effectContext(), NEVER)).toBeNull();
    expect(await one.restore({ name: 'channel', set: {} }, null, 'k', effectContext(), NEVER)).toContain(
      'taken back',
    );
    expect(receiver.received).toHaveLength(0);
  });
});

describe('a receiver', () => {
  it('gets a signed message with the key, which it can verify', async () => {
    const set = { data: { ticket: '{{migrationId}}', percent: '{{percent}}' } };
    await targets({ pager: webhook() }).apply(
      { name: 'pager', set },
      'chat-1:5:pager',
      effectContext(),
      NEVER,
    );
    const [message] = receiver.received;
    if (message === undefined) throw new Error('expected a message');
    expect(verifyMessage([SECRET], message, Date.now())).toEqual({ ok: true, id: 'chat-1:5:pager' });
    expect(message.headers['idempotency-key']).toBe('chat-1:5:pager');
    expect(JSON.parse(message.body)).toMatchObject({
      version: 1,
      key: 'chat-1:5:pager',
      moment: 'stage entered',
      route: 'chat',
      share: 0.1,
      headHash: 'abc123',
      at: '2026-01-02T03:04:05.000Z',
      data: { ticket: 'chat-1', percent: 10 },
    });
    expect(JSON.stringify(message)).not.toContain(SECRET);
  });

  it('may have a body of its own shape', async () => {
    const body = { summary: '{{route}} {{moment}}', severity: 'info', by: '{{by}}' };
    const context = effectContext({ by: '"quoted" {{route}}' });
    await targets({ pager: webhook({ body }) }).apply({ name: 'pager', set: {} }, 'k', context, NEVER);
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toEqual({
      summary: 'chat stage entered',
      severity: 'info',
      by: '"quoted" {{route}}',
    });
  });

  it('is sent the same key again after a failure, so that it can tell', async () => {
    const one = targets({ pager: webhook({ url: 'env:FLAKY' }) });
    const tell = () => one.apply({ name: 'pager', set: {} }, 'chat-1:5:pager', effectContext(), NEVER);
    await expect(tell()).rejects.toMatchObject({ retryable: true });
    expect(await tell()).toBe('the receiver accepted it');
    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([
      'chat-1:5:pager',
      'chat-1:5:pager',
    ]);
  });
});

it('refuses what the plan sets and the target does not know, before anything is sent', async () => {
  const one = targets({ pager: webhook() });
  const apply = (set: object) => one.apply({ name: 'pager', set: set as never }, 'k', effectContext(), NEVER);
  await expect(apply({ date: 1 })).rejects.toThrow('set.date: unknown field');
  await expect(one.apply({ name: 'nobody', set: {} }, 'k', effectContext(), NEVER)).rejects.toThrow(
    'got only pager',
  );
  expect(receiver.received).toHaveLength(0);
});
