import { createHash } from 'node:crypto';
import { type Evidence, type Export, groupedBy } from './evidence';
import { answerIn, isRollback } from './routing-laws';

/** Between an answer and its being counted and logged, milliseconds. */
const READING_MS = 300;

/** Every migration could be exported, and its record is whole: hashes, sequence, intents that are closed once. */
export function brokenRecords({ exports, operators }: Evidence): string[] {
  const refused = operators
    .filter(({ by, code }) => by === 'checker' && code !== 0)
    .map(({ args, stderr }) => `${args.join(' ')} failed: ${stderr.trim().split('\n')[0]}`);
  const broken = exports.flatMap((exported) =>
    [...brokenChain(exported), ...brokenSequence(exported)].map((problem) => `${exported.file}: ${problem}`),
  );
  return [...(exports.length === 0 ? ['no migration was exported'] : []), ...refused, ...broken];
}

function brokenChain({ lines }: Export): string[] {
  let previous: string | null = null;
  for (const [index, line] of lines.entries()) {
    const { hash, ...content } = JSON.parse(line);
    const isLinked = previous === null || content.previous === previous;
    if (!isLinked || createHash('sha256').update(canonical(content)).digest('hex') !== hash) {
      return [`line ${index + 1} does not fit its hash or the line before`];
    }
    previous = hash;
  }
  return [];
}

/** JSON with sorted keys and without spaces, as the format says. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`;
}

function brokenSequence(exported: Export): string[] {
  const { checkpoints, end } = exported;
  const gap = checkpoints.findIndex(({ seq }, index) => seq !== index + 1);
  const intended = checkpoints.filter(({ kind }) => kind === 'intended');
  const isOver = end !== null && end.outcome !== null;
  return [
    ...(gap < 0 ? [] : [`checkpoint ${gap + 1} is missing`]),
    ...intended.flatMap(({ seq, epoch }, index) => {
      const closings = checkpoints.filter(({ closes }) => closes === seq).length;
      const isLast = index === intended.length - 1;
      const before = intended[index - 1];
      return [
        ...(closings === 1 || (closings === 0 && isLast && !isOver)
          ? []
          : [`checkpoint ${seq} is closed ${closings} times`]),
        ...(before === undefined || before.epoch < epoch ? [] : [`epoch ${epoch} follows ${before.epoch}`]),
      ];
    }),
    ...raisesWithoutPass(exported),
  ];
}

/** A share is raised only after a pass of the epoch in effect, or an override that was recorded since. */
function raisesWithoutPass({ checkpoints, verdicts }: Export): string[] {
  return checkpoints.flatMap((entry, index) => {
    if (entry.kind !== 'intended' || entry.cause !== 'advance') return [];
    const before = checkpoints.slice(0, index);
    const at = before.findLastIndex(({ kind }) => kind === 'took effect');
    const recorded = before.slice(at + 1).some(({ what }) => what === 'assessed' || what === 'override');
    const passed = verdicts.some(
      ({ epoch, atMs, late, verdict }) =>
        epoch === before[at]?.epoch && late !== true && atMs <= entry.atMs && verdict.outcome === 'pass',
    );
    return recorded || passed
      ? []
      : [`checkpoint ${entry.seq} raises the share without a pass or an override`];
  });
}

/** No request is counted twice: what a verdict rests on was logged by gateways, or sent to one that was killed. */
export function evidenceCountedOnce({ exports, gateways, callers }: Evidence): string[] {
  const lines = gateways.flatMap((life) => life.lines).filter(({ class: kind }) => kind === 'randomised');
  const kills = gateways.flatMap(({ gateway, killedMs }) =>
    killedMs === null ? [] : [{ gateway, killedMs }],
  );
  return exports.flatMap(({ verdicts, checkpoints }) =>
    [...groupedBy(verdicts, ({ epoch, verdict }) => `${verdict.stage} ${epoch}`)].flatMap(([, of]) =>
      of.flatMap(({ atMs, epoch, verdict }) => {
        const inEpoch = lines.filter((line) => line.epoch === epoch);
        const fromMs =
          checkpoints.find((entry) => entry.kind === 'intended' && entry.epoch === epoch)?.atMs ?? 0;
        // The log of a process is written each second: what was under way or unwritten at its death is not in it.
        const unlogged = kills
          .filter(({ killedMs }) => killedMs > fromMs)
          .flatMap(({ gateway, killedMs }) =>
            callers.filter(
              (line) => line.gateway === gateway && line.endMs > killedMs - 2_500 && line.sentMs < killedMs,
            ),
          ).length;
        return (['legacy', 'candidate'] as const).flatMap((arm) => {
          const logged = inEpoch.filter((line) => line.arm === arm && line.startedMs < atMs).length;
          const counted = verdict.requests[arm];
          return counted <= logged + unlogged
            ? []
            : [
                `a verdict on ${verdict.stage} (epoch ${epoch}) counts ${counted} requests of ${arm}, and gateways had ${logged}`,
              ];
        });
      }),
    ),
  );
}

/**
 * Nothing that gateways counted is lost to a verdict: the last one of an epoch has every request that was over before
 * its window began. This is checked only in episodes in which all gateways kept running and answering and no provider was
 * made to fail; requests that lapsed or were withdrawn are not judged.
 */
export function evidenceLost({ exports, gateways, events, operators }: Evidence): string[] {
  const isDisturbed =
    events.some(({ what, way, process, signal, failPart }) => {
      // While the candidate takes nothing, requests of both arms are in no ratio.
      if (what === 'provider') return Number(failPart) > 0;
      if (what === 'way') return !String(way).startsWith('temporal:');
      return (
        what === 'disk' || (what === 'signal' && signal !== 'SIGUSR2' && String(process).startsWith('gw-'))
      );
    }) || operators.some(({ args }) => args[0] === 'kill');
  if (isDisturbed) return [];
  const lines = gateways
    .flatMap((life) => life.lines)
    // What a provider failed or did not take may be in no ratio.
    .filter(
      (line) => line.class === 'randomised' && line.attempts.every(({ outcome }) => outcome === 'success'),
    );
  return exports
    .filter(({ checkpoints }) => !checkpoints.some(({ what }) => what === 'lapse' || what === 'drift'))
    .flatMap(({ verdicts }) =>
      [...groupedBy(verdicts, ({ epoch }) => String(epoch))].flatMap(([, all]) => {
        const [before, last] = all.filter(({ late }) => late !== true).slice(-2);
        if (before === undefined || last === undefined) return [];
        return (['legacy', 'candidate'] as const).flatMap((arm) => {
          const over = lines.filter(
            (line) =>
              line.epoch === last.epoch && line.arm === arm && line.endedMs < before.atMs - READING_MS,
          ).length;
          const counted = last.verdict.requests[arm];
          return counted >= over
            ? []
            : [
                `a verdict on ${last.verdict.stage} (epoch ${last.epoch}) counts ${counted} requests of ${arm}, and gateways had answered ${over} before its window`,
              ];
        });
      }),
    );
}

/** Every episode ends, or its migration names what it waits for. */
export function openEnds({ events }: Evidence): string[] {
  const end = events.findLast(({ what }) => what === 'end');
  if (end === undefined) return ['the episode has no end'];
  if (end['closed'] === true) return [];
  const waitsFor = end['waitsFor'];
  return typeof waitsFor === 'string' && waitsFor !== ''
    ? []
    : ['the migration is open and says nothing of what it waits for'];
}

/** A rollback that Temporal took is in the record of a migration. */
export function lostRollbacks({ operators, exports }: Evidence): string[] {
  const recorded = new Set(exports.flatMap(({ commandIds }) => commandIds));
  return operators
    .filter(({ args }) => isRollback(args))
    .flatMap(({ args, stdout, code }) => {
      const id = answerIn(stdout)?.['commandId'];
      // Without an id nothing was sent to a migration: it had been rolled back before.
      return typeof id !== 'string' || id === '' || code === 3 || recorded.has(id)
        ? []
        : [`${args.join(' ')} was taken (${id}), and no migration has recorded it`];
    });
}
