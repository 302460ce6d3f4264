import { currentDetails } from '../../../src/core/migration/details';
import { statusOf } from '../../../src/core/migration/status';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { givenMigration, KILLED, type MigrationWorld } from '../../support/migrations/migration-world';

function details(world: MigrationWorld): string {
  return currentDetails(statusOf(world.state, world.nowMs));
}

it('shows stage, share, verdict and soak of a running canary', () => {
  const world = givenMigration().reaches('canary').elapse(HOUR_MS);
  world.watches({
    observedMs: HOUR_MS,
    verdict: { outcome: 'inconclusive', sentence: '120 of 400 candidate requests', observedShare: 0.098 },
  });
  expect(details(world)).toBe(`**chat**: canary; share 10%, observed 9.8%; epoch 2

Now: watching

| stage | share | |
|---|---|---|
| assess | 0% | done |
| **canary** | 10% | now |
| rolling | 50% | next |
| complete | 100% | next |

- Verdict: **inconclusive**: 120 of 400 candidate requests
- Soak: 60 min of 24 h; windows: 1
- Deadline: 2026-01-08T09:00:00.000Z
- Probes failed: legacy 0 of 12, candidate 0 of 12
- Gateways: gw-a, gw-b

| checkpoint | at | what |
|---|---|---|
| 5 | 2026-01-05T09:00:00.000Z | checkpoint 4 took effect: canary, 10%, epoch 2 |
| 4 | 2026-01-05T09:00:00.000Z | advance to canary, 10%, epoch 2, by cutover: both providers answer |
| 3 | 2026-01-05T09:00:00.000Z | assessed, by cutover: pass: both providers answer |
| 2 | 2026-01-05T09:00:00.000Z | checkpoint 1 took effect: assess, 0%, epoch 1 |
| 1 | 2026-01-05T09:00:00.000Z | baseline to assess, 0%, epoch 1, by ana: cheaper |`);
});

it('shows what is asked for, who is missing, and every banner', () => {
  const world = givenMigration().reaches('rolling').watches({ drift: KILLED });
  const text = details(world);
  expect(text).toContain('> **Drift** at gw-a, kill latch: the kill switch was set by ana: smoke');
  expect(text).toContain('> **Paused** by cutover since 2026-01-');
  const moving = givenMigration()
    .reaches('rolling')
    .says('rollback', { to: 'previous', by: 'ben', reason: 'p95 doubled' })
    .applies({ confirmed: ['gw-a'] });
  const rolling = details(moving);
  expect(rolling).toContain('share 50%, asked 10%');
  expect(rolling).toContain('confirmed by gw-a; missing gw-b');
  expect(rolling).toContain('Now: waiting for gw-b to confirm');
  expect(rolling).toContain('rollback to canary, 10%, epoch');
});

it('shows a held stage, an unreachable gateway, the handover and the end', () => {
  const held = givenMigration()
    .reaches('canary')
    .elapse(4 * DAY_MS);
  held.watches({ verdict: { outcome: 'inconclusive' } });
  expect(details(held)).toContain('> **Held** since');
  const reading = givenMigration().reads({ unreachable: ['gw-b'] });
  expect(details(reading)).toContain('> **No answer** from gw-b');
  const handover = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
  handover.watches({ settled: ['gw-a'] });
  expect(details(handover)).toContain('settled: gw-a');
  const ended = handover.says('rollback').applies();
  expect(details(ended)).toContain('**chat**: rolled back; share 0%');
});

it.each([
  ['emphasis and code', '**bold** `rm -rf` _x_ ~~y~~', '\\*\\*bold\\*\\* \\`rm -rf\\` \\_x\\_ \\~\\~y\\~\\~'],
  ['HTML', '<img src=x onerror="alert(1)"> & co', '&lt;img src=x onerror="alert(1)"&gt; &amp; co'],
  ['a link', '[click](javascript:alert(1))', '\\[click\\](javascript:alert(1))'],
  ['a bare address', 'see https://example.com', 'see https:/&#8203;/example.com'],
  ['a heading and a table on lines of their own', 'a\n# b\r\n| c |\u2028d', 'a \\# b \\| c \\| d'],
  ['a backslash before a bracket', '\\[x', '\\\\\\[x'],
  ['text turned around', 'safe\u202Elive', 'safe live'],
])('shows %s as text', (_name, reason, expected) => {
  const world = givenMigration().reaches('canary').says('pause', { by: reason, reason });
  expect(details(world)).toContain(`> **Paused** by ${expected} since`);
  expect(details(world).split('\n')).toHaveLength(
    details(givenMigration().reaches('canary').says('pause')).split('\n').length,
  );
});

it('stays small whatever is said', () => {
  const world = givenMigration().reaches('canary');
  for (let turn = 0; turn < 10; turn += 1) {
    const by = '<'.repeat(1_000);
    world.says('pause', { by, reason: by }).says('resume', { by, reason: by });
  }
  world.watches({ verdict: { outcome: 'fail', sentence: '|'.repeat(50_000) } });
  expect(Buffer.byteLength(details(world))).toBeLessThan(20_000);
});

it('never splits a character', () => {
  const world = givenMigration()
    .reaches('canary')
    .says('pause', { reason: `${'x'.repeat(299)}\u{1F600}` });
  expect(() => encodeURIComponent(details(world))).not.toThrow();
});

it('can be shown in every state on the way', () => {
  const world = givenMigration();
  const texts = new Set<string>();
  world.goesOnUntil('the end', () => {
    texts.add(details(world));
    return world.state.phase === 'closed';
  });
  expect(texts.size).toBeGreaterThan(20);
  for (const text of texts) expect(text).not.toMatch(/undefined|null|NaN|\[object/);
});
