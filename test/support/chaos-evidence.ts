import { createHash } from 'node:crypto';
import type { CallerLine, RequestKind } from '../../chaos/callers';
import type {
  Arrival,
  Checkpoint,
  Evidence,
  Export,
  GatewayLine,
  StackEvent,
} from '../../chaos/checker/evidence';
import { expectedWords, type ProviderName } from '../../chaos/expected-answer';

type Changeable<T> = { -readonly [Field in keyof T]: T[Field] };

/** Logs of one episode that a test may spoil. */
export interface EpisodeLogs {
  callers: Changeable<CallerLine>[];
  arrivals: Changeable<Arrival>[];
  gateways: {
    gateway: string;
    startedMs: number;
    killedMs: number | null;
    settled: ProviderName;
    lines: Changeable<GatewayLine>[];
  }[];
  operators: Changeable<Evidence['operators'][number]>[];
  events: StackEvent[];
  checkpoints: Changeable<Checkpoint>[];
  verdicts: Export['verdicts'][number][];
  commandIds: string[];
  end: Export['end'];
}

export const KEYS = {
  providers: { legacy: 'key-of-legacy', candidate: 'key-of-candidate' },
  callers: { authorization: 'Bearer key-of-a-caller' },
};

export const CANARY_MS = 2_000;
const MIDDLE_MS = 6_000;
export const ROLLED_BACK_MS = 8_000;
const END_MS = 10_000;
const EVERY_MS = 10;
const KINDS: readonly RequestKind[] = ['plain', 'stream', 'hosted', 'embedding', 'file'];

/** A good episode: half of the traffic at the candidate for six seconds, then a rollback. */
export function goodEpisode(): EpisodeLogs {
  const logs: EpisodeLogs = {
    callers: [],
    arrivals: [],
    gateways: ['gw-1', 'gw-2'].map((gateway) => ({
      gateway,
      startedMs: 0,
      killedMs: null,
      settled: 'legacy',
      lines: [],
    })),
    operators: [
      operatorLine(['rollback', 'chat', '--json'], ROLLED_BACK_MS, {
        commandId: 'c1',
        share: 0,
        verified: true,
      }),
    ],
    events: [{ atMs: END_MS, what: 'end', closed: true, outcome: 'rolled back' }],
    checkpoints: [
      ...change(1, 1, 0, 'baseline', 'assess', 500),
      recorded(3, 'assessed', 1_500),
      ...change(4, 2, 0.5, 'advance', 'canary', CANARY_MS),
      ...change(6, 3, 0, 'rollback', 'assess', ROLLED_BACK_MS),
      recorded(8, 'rolled back', ROLLED_BACK_MS),
    ],
    verdicts: [],
    commandIds: ['c1'],
    end: { status: 'COMPLETED', outcome: 'rolled back' },
  };
  for (let atMs = EVERY_MS; atMs < END_MS; atMs += EVERY_MS) addRequest(logs, atMs);
  const canary = logs.gateways.flatMap(({ lines }) => lines).filter(({ epoch }) => epoch === 2);
  for (const atMs of [MIDDLE_MS, ROLLED_BACK_MS]) {
    const of = (arm: string) => canary.filter((line) => line.arm === arm && line.startedMs < atMs).length;
    const requests = { legacy: of('legacy'), candidate: of('candidate') };
    logs.verdicts.push({ atMs, epoch: 2, verdict: { stage: 'canary', outcome: 'pass', requests } });
  }
  return logs;
}

/** The logs as a checker reads them. */
export function evidenceOf({ checkpoints, verdicts, commandIds, end, ...logs }: EpisodeLogs): Evidence {
  const entries = [
    ...checkpoints.map((checkpoint) => ({ checkpoint })),
    ...verdicts.map((verdict) => ({ verdict })),
    { end },
  ];
  const exported: Export = {
    file: 'chat-1.jsonl',
    lines: chained(entries),
    checkpoints,
    verdicts,
    commandIds,
    end,
  };
  return { ...logs, leaseMs: 1_000, keys: KEYS, exports: [exported] };
}

function addRequest(logs: EpisodeLogs, sentMs: number): void {
  const index = sentMs / EVERY_MS;
  const nonce = `nonce-1-${index}`;
  const kind = KINDS[index % KINDS.length] as RequestKind;
  const isSplit = kind === 'plain' || kind === 'stream' || kind === 'hosted';
  const epoch = sentMs <= CANARY_MS ? 1 : sentMs < ROLLED_BACK_MS - EVERY_MS ? 2 : 3;
  const provider: ProviderName = isSplit && epoch === 2 && index % 2 === 0 ? 'candidate' : 'legacy';
  const gateway = logs.gateways[index % 2] as EpisodeLogs['gateways'][number];
  logs.callers.push({
    ...{
      nonce,
      kind,
      gateway: gateway.gateway,
      sentMs,
      endMs: sentMs + 4,
      status: 200,
      provider,
      headers: {},
    },
    ...{ end: 'clean', text: expectedWords(provider, nonce).join(''), done: kind === 'stream', error: false },
  });
  logs.arrivals.push(arrival(provider, nonce, sentMs + 1, kind === 'hosted'));
  gateway.lines.push({
    ...{
      gateway: gateway.gateway,
      startedMs: sentMs,
      endedMs: sentMs + 3,
      epoch,
      status: 200,
      outcome: 'success',
    },
    class: isSplit ? 'randomised' : 'whole',
    arm: isSplit ? provider : null,
    attempts: [{ provider, purpose: 'drawn', outcome: 'success' }],
  });
}

export function arrival(provider: ProviderName, nonce: string | null, atMs: number, hosted = false): Arrival {
  const headers = { authorization: `Bearer ${KEYS.providers[provider]}` };
  const answer = { status: 200, sent: 'whole' as const };
  return {
    provider,
    nonce,
    atMs,
    earliestMs: atMs - 1,
    path: '/v1/chat/completions',
    hosted,
    headers,
    answer,
  };
}

export function operatorLine(
  args: readonly string[],
  untilMs: number,
  answer: object,
  code = 0,
): Evidence['operators'][number] {
  return { by: 'ana', args, atMs: untilMs - 10, untilMs, code, stdout: JSON.stringify(answer), stderr: '' };
}

const BASE = {
  stage: 'assess',
  share: 0,
  epoch: 0,
  closes: 0,
  cause: '',
  what: '',
  commandId: null,
  gateways: [],
  lapsed: [],
  missing: [],
};

function recorded(seq: number, what: string, atMs: number): Checkpoint {
  return { ...BASE, seq, atMs, kind: 'recorded', what };
}

function change(
  seq: number,
  epoch: number,
  share: number,
  cause: string,
  stage: string,
  atMs: number,
): Checkpoint[] {
  return [
    { ...BASE, seq, atMs: atMs - 5, kind: 'intended', cause, stage, share, epoch },
    {
      ...BASE,
      seq: seq + 1,
      atMs,
      kind: 'took effect',
      closes: seq,
      stage,
      share,
      epoch,
      gateways: ['gw-1', 'gw-2'],
    },
  ];
}

/** Lines of an export with their hashes, by the format as it is documented. */
function chained(entries: readonly object[]): string[] {
  let previous: string | null = null;
  return [{ format: 'cutover-record' }, ...entries].map((entry) => {
    const content = sorted(previous === null ? entry : { ...entry, previous }) as object;
    previous = createHash('sha256').update(JSON.stringify(content)).digest('hex');
    return JSON.stringify({ ...content, hash: previous });
  });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([name, field]) => [name, sorted(field)]));
}
