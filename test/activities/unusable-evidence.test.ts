import { renewRound } from '../../src/activities/renew-round';
import type { WatchStageInput } from '../../src/contract';
import type { EvidenceReading } from '../../src/core/evidence/evidence';
import { noStageEvidence } from '../../src/core/evidence/stage/stage-evidence';
import type { GatewayStatus } from '../../src/core/routing/routing';
import type { Ports } from '../../src/ports';
import { record } from '../support/gateways/gateway-fixture';
import { aCell, afterWindows, aStage, EPOCH, evidenceOf, judged } from '../support/migrations/gate-evidence';

const RECORD = record({ epoch: EPOCH });
const ROSTER = [
  { name: 'gw-a', admin: 'http://gw-a.invalid' },
  { name: 'gw-b', admin: 'http://gw-b.invalid' },
];
const GOOD = evidenceOf([aCell('legacy', { requests: 9 }), aCell('candidate', { requests: 1 })]);

/** One round in which gw-b tells what a test says. */
function roundWith(told: Partial<EvidenceReading>) {
  const status = {
    incarnation: 'i',
    asOfMs: 1,
    record: RECORD,
    highestEpoch: EPOCH,
    kill: null,
    leaseRemainingMs: 1_000,
    settled: 'legacy',
  } as unknown as GatewayStatus;
  const gateways = {
    status: async () => ({ kind: 'ok', value: status }),
    renew: async () => ({ kind: 'ok', value: status }),
    evidence: async ({ name }: { name: string }) => ({
      kind: 'ok',
      value: { incarnation: 'i', cursor: `${name}:2`, evidence: GOOD, ...(name === 'gw-b' ? told : {}) },
    }),
  };
  const leaseGrants = { mayGrantLeases: async () => ({ granted: true, reason: '' }) };
  const input = {
    route: 'chat',
    record: RECORD,
    progress: { evidence: noStageEvidence(EPOCH), cursors: {}, observedMs: 0, windows: 0, burnInRequests: 0 },
  } as unknown as WatchStageInput;
  return renewRound({ gateways, leaseGrants } as unknown as Ports, input, ROSTER, []);
}

it('uses the evidence of every gateway where nothing contradicts it', async () => {
  const round = await roundWith({ gamma: 1.005 / 0.995 });
  expect(round).toMatchObject({ silent: [], evidence: [GOOD, GOOD] });
});

it.each([
  ['of another epoch', { evidence: { ...GOOD, epoch: 9 } }, 'gw-b (expected epoch 4 and got 9)'],
  ['of another gamma', { gamma: 1.02 }, 'gw-b (expected histograms of gamma 1.010050 and got 1.020000)'],
  [
    'whose counters went backwards',
    { evidence: { ...GOOD, cells: GOOD.cells.map((cell) => ({ ...cell, attempts: -5 })) } },
    'gw-b (its counters went backwards (legacy plain))',
  ],
  [
    'whose latencies went backwards',
    {
      evidence: {
        ...GOOD,
        cells: GOOD.cells.map((cell) => ({ ...cell, totalMs: { zero: 0, buckets: [[3, -1]] as const } })),
      },
    },
    'gw-b (its counters went backwards (legacy plain))',
  ],
])('does not use evidence %s, and nothing passes then', async (_name, told, silent) => {
  const round = await roundWith(told);
  expect(round).toMatchObject({
    silent: [silent],
    evidence: [GOOD],
    cursors: { 'gw-a': 'gw-a:2', 'gw-b': 'gw-b:2' },
  });
  const verdict = judged(aStage('canary'), afterWindows(round.evidence), { silent: round.silent });
  expect(verdict.outcome).toBe('not evaluated');
  expect(verdict.sentence).toContain(`no evidence from ${silent}`);
});
