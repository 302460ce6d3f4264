import type { Drift } from '../../../src/core/migration/migration-state';
import { driftAt, driftsAfter, isKilled } from '../../../src/core/routing/drift';
import type { GatewayStatus, RoutingRecord } from '../../../src/core/routing/routing';

const record = (epoch: number): RoutingRecord => ({
  ...{ migrationId: 'm-1', stage: 'rolling', epoch, share: 0.5, salt: 'salt', stickyKey: 'none' },
  ...{ leaseMs: 45_000, pinned: false, newConversationsOnly: false, shadow: 0 },
});
const status = (epoch: number, more: Partial<GatewayStatus> = {}): GatewayStatus =>
  ({ record: record(epoch), highestEpoch: epoch, kill: null, withdrawn: false, ...more }) as GatewayStatus;
const KILL = { by: 'ana', reason: 'errors', at: '2026-01-01T00:00:00Z' };

describe('a kill switch that was set and cleared while a raise was under way', () => {
  it('is still known where the raise failed elsewhere and the stage before is in effect', () => {
    const drift = driftAt('gw-1', status(4, { withdrawn: true }), record(3));
    expect(drift).toMatchObject({ kind: 'kill latch', kill: null });
  });

  it('is over for a newer epoch, which an operator has asked for', () => {
    expect(driftAt('gw-1', status(4, { withdrawn: true }), record(5))).toBeNull();
  });

  it.each([
    ['a newer epoch', 'newer epoch'],
    ['other content', 'other content'],
  ] as const)('stays known where its gateway shows %s by now', (_, kind) => {
    const latched: Drift = { gateway: 'gw-1', kind: 'kill latch', detail: 'set by ana', kill: KILL };
    const found: Drift = { gateway: 'gw-1', kind, detail: 'something else', kill: null };
    const drifts = driftsAfter([latched], [found], ['gw-1']);
    expect(isKilled(drifts)).toBe(true);
    expect(drifts).toContainEqual(found);
    expect(isKilled(driftsAfter([latched], [found], ['gw-1'], false))).toBe(false);
  });
});
