import { activityInfo, Context } from '@temporalio/activity';
import type { ApplyRoutingInput, ReadRoutingInput, RoutingActivities, VerifyRoutingInput } from '../contract';
import type { ApplyResult, RoutingReading } from '../core/migration/events';
import { highestEpochOf, leaseOverAfterMs, servesSettledCandidate } from '../core/routing/routing';
import { MINUTE_MS } from '../core/text/duration';
import type { ChangeTelemetry, Ports } from '../ports';
import { withHeartbeats } from './heartbeats';
import { locateGateways } from './locate-gateways';
import { pushRecord } from './push-record';
import { silenceReasons } from './silence-reasons';

/** A push that got no answer is tried again for this long before the workflow hears of it. */
const APPLY_MS = 6_000;
const PAUSE_MS = 500;
const VERIFY_PAUSE_MS = 1_000;
const VERIFY_MOST_MS = 10 * MINUTE_MS;

/** Reading, applying and verifying: what a rollback consists of. Nothing long runs here but waiting for gateways. */
export function createRoutingActivities(ports: Ports): RoutingActivities {
  return {
    readRouting: (input) => withHeartbeats(() => readRouting(ports, input)),
    applyRouting: (input) =>
      withHeartbeats(() => withTelemetry(ports, input, (tell) => applyRouting(tell, input))),
    verifyRouting: (input) =>
      withHeartbeats(() => withTelemetry(ports, input, (tell) => verifyRouting(tell, input))),
  };
}

async function readRouting(ports: Ports, { route, nameSettled }: ReadRoutingInput): Promise<RoutingReading> {
  const { others: answers } = await locateGateways(ports, route, []);
  const statuses = answers.flatMap(({ answer }) => (answer.kind === 'ok' ? [answer.value] : []));
  return {
    roster: answers.map(({ gateway }) => gateway),
    unreachable: answers.filter(({ answer }) => answer.kind !== 'ok').map(({ gateway }) => gateway.name),
    unreachableBecause: silenceReasons(answers),
    highestEpoch: Math.max(0, ...statuses.map(highestEpochOf)),
    forgotten: statuses
      .filter((status) => status.effectiveShare > 0)
      .map((status) => ({
        gateway: status.gateway,
        share: status.effectiveShare,
        epoch: status.record?.epoch ?? 0,
        migrationId: status.record?.migrationId ?? '',
      })),
    ...(nameSettled === true
      ? {
          settled: answers
            .filter(({ answer }) => answer.kind === 'ok' && servesSettledCandidate(answer.value))
            .map(({ gateway }) => gateway.name),
        }
      : {}),
  };
}

/** The ports, and who is told of each push. */
interface ChangeContext {
  readonly ports: Ports;
  readonly telemetry: ChangeTelemetry;
}

async function withTelemetry(
  ports: Ports,
  { route, record, direction }: ApplyRoutingInput,
  work: (telling: ChangeContext) => Promise<ApplyResult>,
): Promise<ApplyResult> {
  const scheduledAtMs = activityInfo().scheduledTimestampMs;
  const telemetry = ports.telemetry.change({ route, epoch: record.epoch, direction, scheduledAtMs });
  let result: ApplyResult | null = null;
  try {
    result = await work({ ports, telemetry });
    return result;
  } finally {
    telemetry.end(result);
  }
}

async function applyRouting(telling: ChangeContext, input: ApplyRoutingInput): Promise<ApplyResult> {
  const { ports } = telling;
  const deadlineMs = ports.clock.now() + APPLY_MS;
  return pushUntil(
    telling,
    input,
    input.roster.map(({ name }) => name),
    (result) => settled(result) || ports.clock.now() >= deadlineMs,
    PAUSE_MS,
  );
}

/**
 * Goes on pushing to the gateways that did not confirm. Where a lapsed lease may stand for a confirmation, it
 * waits for one lease and 1% on its own clock: it was scheduled by the workflow task that cancelled whatever
 * granted older leases, so by then all of them have run out.
 */
async function verifyRouting(telling: ChangeContext, input: VerifyRoutingInput): Promise<ApplyResult> {
  const { ports } = telling;
  const startedMs = ports.clock.now();
  const fenceMs = leaseOverAfterMs(input.record.leaseMs);
  const patienceMs = Math.min(VERIFY_MOST_MS, 30_000 * 2 ** Math.min(input.attempts, 10));
  const waitMs = input.leaseConfirms ? fenceMs : patienceMs;
  const result = await pushUntil(
    telling,
    input,
    input.missing,
    (seen) =>
      settled(seen) ||
      (!input.leaseConfirms && seen.confirmed.length > 0) ||
      ports.clock.now() - startedMs >= waitMs,
    VERIFY_PAUSE_MS,
    input.leaseConfirms ? undefined : withoutUndurable,
  );
  if (!input.leaseConfirms || ports.clock.now() - startedMs < fenceMs) return result;
  return { ...result, lapsed: [...result.lapsed, ...result.missing], missing: [] };
}

async function pushUntil(
  { ports, telemetry }: ChangeContext,
  input: ApplyRoutingInput,
  names: readonly string[],
  enough: (result: ApplyResult) => boolean,
  pauseMs: number,
  asks: (result: ApplyResult) => ApplyResult = (result) => result,
): Promise<ApplyResult> {
  const signal = Context.current().cancellationSignal;
  for (;;) {
    const result = asks(await pushRecord(ports, input, names));
    telemetry.pushed(result.missing);
    if (enough(result)) return result;
    await ports.clock.sleep(pauseMs, signal);
    signal.throwIfAborted();
  }
}

/** Where a pinned record may be out there, what a restart would forget is not confirmed. */
function withoutUndurable(result: ApplyResult): ApplyResult {
  const { confirmed, missing, undurable = [] } = result;
  const held = confirmed.filter((name) => undurable.includes(name));
  if (held.length === 0) return result;
  return {
    ...result,
    confirmed: confirmed.filter((name) => !undurable.includes(name)),
    missing: [...missing, ...held],
  };
}

function settled(result: ApplyResult): boolean {
  return result.missing.length === 0 || result.drift !== null || result.settled !== undefined;
}
