import type { CallerLine } from '../callers';
import { type Arrival, type Checkpoint, type Evidence, groupedBy } from './evidence';

/** Wall clocks of one machine, read by several processes. */
const CLOCK_MS = 2;
/** One-sided tail of 5e-7 for each comparison. */
const DEVIATIONS = 4.89;

const RANDOMISED: readonly CallerLine['kind'][] = ['plain', 'stream', 'hosted'];

/** Callers' requests as they came to the candidate. */
function atCandidate({ arrivals }: Evidence): readonly Arrival[] {
  return arrivals.filter(({ provider, nonce }) => provider === 'candidate' && nonce !== null);
}

/** All changes of routing of all migrations in their order, with when they were asked for and when they were closed. */
interface Change {
  readonly intendedMs: number;
  readonly closedMs: number;
  readonly share: number;
  readonly epoch: number;
  readonly stage: string;
  readonly tookEffect: boolean;
  readonly isWhole: boolean;
  readonly gateways: readonly string[];
}

function changesOf({ exports }: Evidence): readonly Change[] {
  return exports.flatMap(({ checkpoints }) =>
    checkpoints
      .filter(({ kind }) => kind === 'intended')
      .map((intended): Change => {
        const closing = checkpoints.find(
          (entry): entry is Checkpoint => entry.kind !== 'recorded' && entry.closes === intended.seq,
        );
        return {
          intendedMs: intended.atMs,
          closedMs: closing?.atMs ?? Number.POSITIVE_INFINITY,
          share: intended.share,
          epoch: closing?.epoch ?? intended.epoch,
          stage: intended.stage,
          tookEffect: closing?.kind === 'took effect',
          isWhole: closing?.missing.length === 0,
          gateways: closing?.gateways ?? [],
        };
      }),
  );
}

/** After share 0 was verified nothing comes to the candidate until a share is asked for again. */
export function afterRollback(evidence: Evidence): string[] {
  const changes = changesOf(evidence);
  const verified = changes.filter(({ share, tookEffect, isWhole }) => share === 0 && tookEffect && isWhole);
  const acknowledged = evidence.operators
    .filter(({ args, code, stdout }) => isRollback(args) && code === 0 && answerIn(stdout)?.['share'] === 0)
    .map(({ untilMs, by, args }) => ({ fromMs: untilMs, what: `${args[0]} by ${by}` }));
  const fences = [
    ...verified.map(({ closedMs, epoch }) => ({ fromMs: closedMs, what: `epoch ${epoch}` })),
    ...acknowledged,
  ];
  return fences.flatMap(({ fromMs, what }) => {
    const untilMs = Math.min(
      ...changes
        .filter(({ share, intendedMs }) => share > 0 && intendedMs >= fromMs)
        .map(({ intendedMs }) => intendedMs),
    );
    return strayIn(evidence, fromMs, untilMs, `after the rollback (${what}) was verified`);
  });
}

/** After `cutover kill` was done at every gateway nothing comes to the candidate until the latch is cleared. */
export function afterKill(evidence: Evidence): string[] {
  const { operators } = evidence;
  return operators
    .filter(({ args, code }) => isKill(args) && code === 0)
    .flatMap(({ untilMs }) => {
      const clears = operators.filter(({ args, untilMs: end }) => isClear(args) && end >= untilMs);
      const clearedMs = Math.min(...clears.map(({ atMs }) => atMs));
      return strayIn(evidence, untilMs, clearedMs, 'after the kill switch was set everywhere');
    });
}

/** While nobody can renew leases, nothing below share 1 is served longer than one lease. */
export function withoutRenewal(evidence: Evidence): string[] {
  const changes = changesOf(evidence);
  const turns = evidence.events.filter(({ what }) => what === 'renewals');
  return turns.flatMap((turn, index) => {
    if (turn['possible'] === true) return [];
    const fromMs = turn.atMs + evidence.leaseMs * 1.01 + 50;
    const untilMs = turns[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const isPinned = changes.some(
      ({ stage, share, intendedMs }) => stage === 'complete' && share > 0 && intendedMs <= untilMs,
    );
    return isPinned
      ? []
      : strayIn(evidence, fromMs, untilMs, 'a lease after the last worker was out of reach');
  });
}

function strayIn(evidence: Evidence, fromMs: number, untilMs: number, when: string): string[] {
  const stray = atCandidate(evidence).filter(
    ({ earliestMs, atMs }) => earliestMs > fromMs + CLOCK_MS && atMs < untilMs - CLOCK_MS,
  );
  const [first] = stray;
  if (first === undefined) return [];
  const lateMs = Math.round(first.earliestMs - fromMs);
  return [
    `${stray.length} requests came to the candidate ${when}, the first (${first.nonce}) ${lateMs} ms later`,
  ];
}

/** No gateway sends more to the candidate than was asked for, by epoch in its log and over time at the candidate. */
export function sharesGranted(evidence: Evidence): string[] {
  return [...sharesByEpoch(evidence), ...sharesOverTime(evidence)];
}

function sharesByEpoch(evidence: Evidence): string[] {
  const changes = changesOf(evidence);
  const lines = evidence.gateways.flatMap(({ settled, lines: all }) =>
    all.filter(
      ({ class: kind, arm, epoch }) =>
        kind === 'randomised' && arm !== null && (epoch > 0 || settled === 'legacy'),
    ),
  );
  return [...groupedBy(lines, ({ epoch }) => String(epoch))].flatMap(([epoch, of]) => {
    const given = changes.filter((change) => String(change.epoch) === epoch);
    const share = Math.max(0, ...given.map((change) => change.share));
    const served = of.filter(({ arm }) => arm === 'candidate').length;
    return served <= mostOf(of.length, share)
      ? []
      : [
          `epoch ${epoch} was given ${share}, and gateways drew ${served} of ${of.length} requests for the candidate`,
        ];
  });
}

function sharesOverTime(evidence: Evidence): string[] {
  const turns = changesOf(evidence)
    .flatMap((change) => [
      { atMs: change.intendedMs, raisesTo: change.share, setsTo: null },
      ...(change.tookEffect && change.isWhole
        ? [{ atMs: change.closedMs, raisesTo: null, setsTo: change.share }]
        : []),
    ])
    .sort((a, b) => a.atMs - b.atMs);
  const cameMs = new Map(atCandidate(evidence).map(({ nonce, atMs }) => [nonce, atMs]));
  const sent = evidence.callers.filter(({ kind }) => RANDOMISED.includes(kind));
  let granted = 0;
  return turns.flatMap(({ atMs, raisesTo, setsTo }, index) => {
    granted = setsTo ?? Math.max(granted, raisesTo ?? 0);
    const untilMs = turns[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const between = sent.filter(({ sentMs }) => sentMs > atMs && sentMs < untilMs);
    const came = between.filter(
      ({ nonce }) => (cameMs.get(nonce) ?? Number.POSITIVE_INFINITY) < untilMs,
    ).length;
    return came <= mostOf(between.length, granted)
      ? []
      : [`while at most ${granted} was granted, ${came} of ${between.length} requests came to the candidate`];
  });
}

function mostOf(requests: number, share: number): number {
  return requests * share + DEVIATIONS * Math.sqrt(requests * share * (1 - share));
}

/** A gateway that has confirmed an epoch serves no older one. */
export function olderEpochs(evidence: Evidence): string[] {
  const changes = changesOf(evidence).filter(({ tookEffect }) => tookEffect);
  return evidence.gateways.flatMap(({ gateway, lines }) => {
    const confirmed = changes.filter(({ gateways }) => gateways.includes(gateway));
    const stale = lines.filter(
      ({ arm, epoch, startedMs }) =>
        arm === 'candidate' &&
        confirmed.some((change) => change.epoch > epoch && change.closedMs < startedMs - CLOCK_MS),
    );
    const [first] = stale;
    return first === undefined
      ? []
      : [
          `${gateway} drew ${stale.length} requests for the candidate under epoch ${first.epoch}, older than one that it had confirmed`,
        ];
  });
}

export function isRollback(args: readonly string[]): boolean {
  return args[0] === 'rollback' || args[0] === 'emergency-rollback';
}

function isKill(args: readonly string[]): boolean {
  return args[0] === 'kill' && !args.includes('--clear');
}

function isClear(args: readonly string[]): boolean {
  return args[0] === 'kill' && args.includes('--clear');
}

/** The JSON that a command printed last. */
export function answerIn(stdout: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(stdout) as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}
