import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallerLine } from '../callers';
import { PROVIDERS, type ProviderName } from '../expected-answer';

/** A request as a provider logged it. `earliestMs`: before this its bytes cannot have come. */
export interface Arrival {
  readonly provider: ProviderName;
  /** Null for what no caller sent, such as a probe. */
  readonly nonce: string | null;
  readonly atMs: number;
  readonly earliestMs: number;
  readonly path: string;
  readonly hosted: boolean;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** What the provider answered; null where it did not come to that. */
  answer: { readonly status: number; readonly sent: 'whole' | 'part' | 'none' } | null;
}

/** One line of a gateway's request log, its times put right by the clock of its process. */
export interface GatewayLine {
  readonly gateway: string;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly class: string;
  readonly epoch: number;
  readonly arm: ProviderName | null;
  readonly status: number;
  readonly outcome: string;
  readonly attempts: readonly {
    readonly provider: string;
    readonly purpose: string;
    readonly outcome: string;
  }[];
}

/** One life of a gateway's process. */
export interface GatewayLife {
  readonly gateway: string;
  readonly startedMs: number;
  /** Null where it ran to the end of the episode. */
  readonly killedMs: number | null;
  readonly settled: ProviderName;
  readonly lines: readonly GatewayLine[];
}

/** A checkpoint as docs and exports have it. */
export interface Checkpoint {
  readonly seq: number;
  readonly atMs: number;
  readonly kind: 'intended' | 'took effect' | 'superseded' | 'failed' | 'recorded';
  readonly stage: string;
  readonly share: number;
  readonly epoch: number;
  readonly closes: number;
  readonly cause: string;
  readonly what: string;
  readonly commandId: string | null;
  readonly gateways: readonly string[];
  readonly lapsed: readonly string[];
  readonly missing: readonly string[];
}

export interface Verdict {
  readonly atMs: number;
  readonly epoch: number;
  readonly late?: true;
  readonly verdict: {
    readonly stage: string;
    readonly outcome: string;
    readonly requests: { readonly legacy: number; readonly candidate: number };
  };
}

/** One exported migration. */
export interface Export {
  readonly file: string;
  /** Its lines as they stand there. */
  readonly lines: readonly string[];
  readonly checkpoints: readonly Checkpoint[];
  readonly verdicts: readonly Verdict[];
  readonly commandIds: readonly string[];
  readonly end: { readonly status: string; readonly outcome: string | null } | null;
}

export interface OperatorLine {
  readonly by: string;
  readonly args: readonly string[];
  readonly atMs: number;
  readonly untilMs: number;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the stack's own log says, one kind of line each. */
export type StackEvent = { readonly atMs: number; readonly what: string } & Readonly<Record<string, unknown>>;

/** All that a checker may know of one episode. */
export interface Evidence {
  readonly leaseMs: number;
  readonly keys: {
    readonly providers: Readonly<Record<ProviderName, string>>;
    readonly callers: Readonly<Record<string, string>>;
  };
  readonly callers: readonly CallerLine[];
  readonly arrivals: readonly Arrival[];
  readonly gateways: readonly GatewayLife[];
  readonly operators: readonly OperatorLine[];
  readonly events: readonly StackEvent[];
  /** Oldest first. */
  readonly exports: readonly Export[];
}

/** Reads the logs of one episode. */
export function readEvidence(folder: string): Evidence {
  const { leaseMs } = JSON.parse(readFileSync(join(folder, 'episode.json'), 'utf8')) as { leaseMs: number };
  const events = linesOf<StackEvent>(join(folder, 'events.jsonl'));
  return {
    leaseMs,
    keys: JSON.parse(readFileSync(join(folder, 'keys.json'), 'utf8')) as Evidence['keys'],
    callers: linesOf<CallerLine>(join(folder, 'callers.jsonl')),
    arrivals: PROVIDERS.flatMap((provider) => arrivalsAt(provider, join(folder, `${provider}.jsonl`))),
    gateways: gatewayLives(folder, events),
    operators: linesOf<OperatorLine>(join(folder, 'operators.jsonl')),
    events,
    exports: exportsIn(join(folder, 'exports')),
  };
}

/** Lines of JSON; the last one of a process that was killed may be cut, and is left out. */
function linesOf<Line>(file: string): Line[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line.startsWith('{') ? [JSON.parse(line) as Line] : [];
      } catch {
        return [];
      }
    });
}

function arrivalsAt(provider: ProviderName, file: string): Arrival[] {
  type Line = Omit<Arrival, 'provider' | 'answer'> & {
    kind: string;
    status: number;
    sent: 'whole' | 'part' | 'none';
  };
  const arrivals: Arrival[] = [];
  for (const { kind, ...line } of linesOf<Line>(file)) {
    if (kind === 'arrived') arrivals.push({ ...line, provider, answer: null });
    else {
      const open = arrivals.find(({ nonce, answer }) => nonce === line.nonce && answer === null);
      if (open !== undefined) open.answer = { status: line.status, sent: line.sent };
    }
  }
  return arrivals;
}

function gatewayLives(folder: string, events: readonly StackEvent[]): GatewayLife[] {
  type Line = Omit<GatewayLine, 'gateway' | 'startedMs' | 'endedMs' | 'arm'> & {
    readonly msg: string;
    readonly time: number;
    readonly ms: number;
    readonly arm?: ProviderName;
  };
  return events
    .filter(({ what, process }) => what === 'started' && String(process).startsWith('gw-'))
    .map((start) => {
      const {
        process: gateway,
        log,
        clockOffsetMs,
        settled,
      } = start as unknown as {
        process: string;
        log: string;
        clockOffsetMs: number;
        settled: ProviderName;
      };
      const end = events.find(
        (event) => event.what === 'ended' && event['process'] === gateway && event.atMs > start.atMs,
      );
      const killed = end !== undefined && end['how'] !== 'exit code 0';
      const lines = linesOf<Line>(join(folder, log)).filter(({ msg }) => msg === 'request');
      return {
        gateway,
        startedMs: start.atMs,
        killedMs: killed ? end.atMs : null,
        settled,
        lines: lines.map(({ time, ms, arm = null, ...line }) => {
          const endedMs = time - clockOffsetMs;
          return { ...line, gateway, arm, endedMs, startedMs: endedMs - ms };
        }),
      };
    });
}

function exportsIn(folder: string): Export[] {
  if (!existsSync(folder)) return [];
  const exports = readdirSync(folder).map((file): Export => {
    const lines = readFileSync(join(folder, file), 'utf8').trimEnd().split('\n');
    const entries = lines.slice(1).map((line) => JSON.parse(line));
    const commands = entries.flatMap(({ command }) => command ?? []);
    return {
      file,
      lines,
      checkpoints: entries.flatMap(({ checkpoint }) => checkpoint ?? []),
      verdicts: entries.flatMap(({ verdict }) => verdict ?? []),
      commandIds: commands.flatMap(({ payload }) => payload?.commandId ?? []),
      end: entries.find(({ end }) => end !== undefined)?.end ?? null,
    };
  });
  return exports.sort((a, b) => (a.checkpoints[0]?.atMs ?? 0) - (b.checkpoints[0]?.atMs ?? 0));
}

/** Things by what they have in common, in the order in which that first came. */
export function groupedBy<Thing>(
  things: readonly Thing[],
  keyOf: (thing: Thing) => string,
): Map<string, Thing[]> {
  const groups = new Map<string, Thing[]>();
  for (const thing of things) {
    const key = keyOf(thing);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [thing]);
    else group.push(thing);
  }
  return groups;
}
