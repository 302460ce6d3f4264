import type { GatewayAdmin } from '../../../src/adapters/gateway-admin';
import type { RosterEntry } from '../../../src/core/migration/migration-state';
import type { PushAccepted, PushRequest, RoutingRecord } from '../../../src/core/routing/routing';
import { record } from './gateway-fixture';
import { ROUTE } from './running-gateway';

/** Pushes the next epoch over HTTP as the worker does: read, then compare and set. Throws for whatever is refused. */
export async function pushAsWorker(
  admin: GatewayAdmin,
  entry: RosterEntry,
  overrides: Partial<RoutingRecord>,
  inFlight: PushRequest['inFlight'] = 'drain',
): Promise<PushAccepted> {
  const status = await admin.status(entry, ROUTE);
  if (status.kind !== 'ok') throw new Error(JSON.stringify(status));
  const { incarnation, asOfMs, highestEpoch, record: held } = status.value;
  const answer = await admin.push(entry, ROUTE, {
    expected: { incarnation, epoch: held?.epoch ?? highestEpoch },
    asOfMs,
    record: record({ epoch: highestEpoch + 1, ...overrides }),
    inFlight,
  });
  if (answer.kind !== 'ok') throw new Error(JSON.stringify(answer));
  return answer.value;
}
