import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirectory, environment } from '../src/config';
import { findTemporal } from '../src/temporal-server/temporal-source';
import { type Checked, checkEpisode } from './checker/check';
import { EPISODE_KINDS, episodeOf, kindOf, LAST_SEED, SHORT_LIST } from './episode-list';
import { play } from './play';

const HELP = `Usage: npm run chaos -- [options]

Plays episodes of the seeded list, each on a whole stack of its own (Temporal on a file, two workers, two gateways, two
providers, callers), breaks parts of it, and checks the logs and the exported record afterwards. Needs Linux.

Options:
  --seed <number>      one episode, such as one that failed (1 to ${LAST_SEED})
  --episodes <number>  that many episodes from the first one on (default: ${LAST_SEED}, or all of the kind)
  --from <number>      the first seed (default: 1)
  --kind <kind>        only episodes of one kind
  --short              the short list that the tests play (${SHORT_LIST.join(', ')})
  --rate <number>      requests per second (default: 50)
  --keep <folder>      keep all logs there, one folder per seed; default: only those of episodes that failed
  --json               print one line of JSON per episode, and one with the counts
  -h, --help           display this

Kinds: ${EPISODE_KINDS.join(', ')}

Exit code 1: an episode failed; 2: bad input.

Example:
  npm run chaos -- --episodes 20
  npm run chaos -- --seed 17 --keep /tmp/episode
`;

class BadInput extends Error {
  override readonly name = 'BadInput';
}

interface Request {
  readonly seeds: readonly number[];
  readonly ratePerSecond: number;
  readonly keep: string | null;
  readonly json: boolean;
}

function readRequest(args: readonly string[]): Request | 'help' {
  const { values } = parse(args);
  if (values.help === true) return 'help';
  const rest = {
    ratePerSecond: whole('--rate', values.rate ?? '50', 1_000),
    keep: values.keep === undefined ? null : resolve(values.keep),
    json: values.json === true,
  };
  const from = whole('--from', values.from ?? '1', LAST_SEED);
  const kind = values.kind ?? null;
  if (kind !== null && !EPISODE_KINDS.includes(kind)) {
    throw new BadInput(`--kind: expected one of ${EPISODE_KINDS.join(', ')}, got "${kind.slice(0, 60)}"`);
  }
  const listed = Array.from({ length: LAST_SEED - from + 1 }, (_, index) => from + index);
  const fitting = listed.filter((seed) => kind === null || kindOf(seed) === kind);
  const given = ['seed', 'kind', 'short'].filter((name) => Object.hasOwn(values, name));
  if (given.length > 1)
    throw new BadInput(`expected one of --seed, --kind and --short, got --${given.join(' and --')}`);
  if (values.short === true) return { seeds: SHORT_LIST, ...rest };
  const seeds =
    values.seed === undefined
      ? fitting.slice(0, whole('--episodes', values.episodes ?? String(LAST_SEED), LAST_SEED))
      : [whole('--seed', values.seed, LAST_SEED)];
  return { seeds, ...rest };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seed: { type: 'string' },
        episodes: { type: 'string' },
        from: { type: 'string' },
        kind: { type: 'string' },
        short: { type: 'boolean' },
        rate: { type: 'string' },
        keep: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (cause) {
    throw new BadInput((cause as Error).message, { cause });
  }
}

function whole(option: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d{1,6}$/.test(text) && value >= 1 && value <= most) return value;
  throw new BadInput(`${option}: expected a whole number from 1 to ${most}, got "${text.slice(0, 60)}"`);
}

async function main(): Promise<number> {
  // Leaving by way of `exit` ends every process of the stack; a signal's own way would not.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const request = readRequest(process.argv.slice(2));
  if (request === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const note = (line: string) => void process.stderr.write(`${line}\n`);
  const { TEMPORAL_ADDRESS: _unused, ...env } = environment;
  const source = await findTemporal({ env, cacheDir: cacheDirectory(), report: note });
  if (source.kind !== 'executable')
    throw new BadInput('expected no Temporal profile: each episode starts its own server');
  const root = request.keep ?? mkdtempSync(join(tmpdir(), 'cutover-chaos-'));
  const tally = new Tally();
  for (const [index, seed] of request.seeds.entries()) {
    const { kind, strike, ending } = episodeOf(seed);
    const folder = join(root, `seed-${seed}`);
    rmSync(folder, { recursive: true, force: true });
    const say = (line: string) =>
      note(`[${index + 1}/${request.seeds.length}] seed ${seed}, ${kind}: ${line}`);
    say(`at ${strike}, then ${ending}`);
    const result = await playAndCheck(seed, {
      folder,
      temporal: source.path,
      ratePerSecond: request.ratePerSecond,
      say,
    });
    tally.add(kind, result);
    const isBroken = result.problems.length > 0;
    if (request.json) process.stdout.write(`${JSON.stringify({ seed, kind, strike, ending, ...result })}\n`);
    say(
      isBroken ? `FAILED, npm run chaos -- --seed ${seed} replays it; logs in ${folder}` : summaryOf(result),
    );
    for (const problem of result.problems) note(`  ${problem}`);
    if (!isBroken && request.keep === null) rmSync(folder, { recursive: true, force: true });
  }
  if (request.json) process.stdout.write(`${JSON.stringify(tally.totals())}\n`);
  else process.stdout.write(tally.table());
  if (tally.failed > 0) return 1;
  if (request.keep === null) rmSync(root, { recursive: true, force: true });
  return 0;
}

type Result = Pick<Checked, 'problems' | 'counts' | 'end'> & { readonly seconds: number };

async function playAndCheck(seed: number, options: Parameters<typeof play>[1]): Promise<Result> {
  const startMs = performance.now();
  const secondsSince = () => Math.round((performance.now() - startMs) / 100) / 10;
  try {
    await play(episodeOf(seed), options);
  } catch (error) {
    const problem = `the episode could not be played: ${error instanceof Error ? error.message : error}`;
    return { problems: [problem], counts: {}, end: 'not played', seconds: secondsSince() };
  }
  return { ...checkEpisode(options.folder), seconds: secondsSince() };
}

function summaryOf({ end, counts, seconds }: Result): string {
  return `ok, ${end}, ${counts['requests'] ?? 0} requests, ${seconds} s`;
}

/** Counts by kind of fault. */
class Tally {
  failed = 0;
  readonly #kinds = new Map<
    string,
    { episodes: number; failed: number; ends: Record<string, number>; counts: Record<string, number> }
  >();

  add(kind: string, { problems, end, counts }: Result): void {
    const row = this.#kinds.get(kind) ?? { episodes: 0, failed: 0, ends: {}, counts: {} };
    this.#kinds.set(kind, row);
    row.episodes += 1;
    if (problems.length > 0) {
      row.failed += 1;
      this.failed += 1;
    }
    row.ends[end] = (row.ends[end] ?? 0) + 1;
    for (const [name, count] of Object.entries(counts)) row.counts[name] = (row.counts[name] ?? 0) + count;
  }

  totals(): object {
    return { kinds: Object.fromEntries(this.#kinds), failed: this.failed };
  }

  table(): string {
    const head =
      '| fault | episodes | requests | verified rollbacks | ends | failed |\n|---|---|---|---|---|---|\n';
    const rows = [...this.#kinds].map(([kind, { episodes, failed, ends, counts }]) => {
      const ended = Object.entries(ends).map(([end, count]) => `${count} ${end}`);
      return `| ${kind} | ${episodes} | ${counts['requests'] ?? 0} | ${counts['verified rollbacks'] ?? 0} | ${ended.join(', ')} | ${failed} |\n`;
    });
    return head + rows.join('');
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const isBadInput = error instanceof BadInput;
    process.stderr.write(`${isBadInput ? error.message : ((error as Error).stack ?? error)}\n`);
    process.exitCode = isBadInput ? 2 : 1;
  },
);
