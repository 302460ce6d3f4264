import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../src/temporal-server/free-port';
import { readOptions, runBench } from './bench-program';
import {
  type Measured,
  type MeasureOptions,
  measureLargeBodies,
  measureOpenLoop,
  measureOpenStreams,
  measurePlain,
  measureStreams,
  type OpenStreams,
} from './gateway/measure';
import { needPrograms, type Started, startPinned, untilAnswers } from './gateway/pinned-process';
import { type Round, type Row, rowsOf, tableOf } from './gateway/report';
import {
  directSubject,
  type ProviderPorts,
  type Subject,
  startGoSubject,
  startNginxSubject,
  startOwnSubject,
  startPlainProviders,
  startPortkeySubject,
} from './gateway/subjects';

/**
 * The gateway beside nginx (split_clients), a reverse proxy of Go's standard library and Portkey: all on core 0,
 * load and providers on core 1, rounds interleaved, medians of ratios within rounds. Needs Linux, taskset, nginx
 * and wrk (`apt-get install nginx-light wrk`), and Go for the Go subject and the open loop.
 */
const flags = readOptions('bench:gateway', 'Measures the gateway beside nginx, Go and Portkey.', {
  rounds: ['rounds, besides one to warm up', 5],
  seconds: ['how long each cell of a round takes', 4],
  only: ['subjects; traced is the gateway with every request traced', 'direct,nginx,go,cutover,portkey'],
  cells: [
    'what is measured, with the number of connections or streams',
    'plain 1,plain 32,bodies of 20 MB 1,half,streams 1,streams 32,back to back 1,back to back 32,open streams',
  ],
  rate: ['requests per second of the cell half; else half of what the gateway reached in plain 32', null],
  node: ["further flags of the gateway's node, such as --cpu-prof", ''],
  json: ['prints one line of JSON', false],
});

/** What a cell measures; its number says how many connections or streams. */
const CELLS: Readonly<
  Record<string, { readonly measures: readonly string[]; readonly measure: MeasureCell }>
> = {
  plain: { measures: ['nginx', 'go', 'cutover', 'traced', 'portkey'], measure: measurePlain },
  'bodies of 20 MB': {
    measures: ['nginx', 'go', 'cutover', 'traced', 'portkey'],
    measure: measureLargeBodies,
  },
  half: {
    measures: ['direct', 'nginx', 'go', 'cutover', 'traced'],
    measure: (subject, _count, options) => measureOpenLoop(subject, halfRate(), options),
  },
  streams: {
    measures: ['nginx', 'go', 'cutover', 'traced', 'portkey'],
    measure: (subject, count, options) => measureStreams(subject, count, 'steady', options),
  },
  'back to back': {
    measures: ['nginx', 'go', 'cutover', 'traced', 'portkey'],
    measure: (subject, count, options) => measureStreams(subject, count, 'none', options),
  },
};

/** Takes traces and keeps nothing. */
const COLLECTOR = `require('node:http').createServer((request, response) => {
  request.resume().on('end', () => response.end('{}'));
}).listen(Number(process.argv[1]), '127.0.0.1')`;

type MeasureCell = (subject: Subject, count: number, options: MeasureOptions) => Promise<Measured>;

const OPEN_STREAMS = 'open streams';
const stops: Started[] = [];
/** Requests a second of the gateway in its last `plain 32`. */
let capacity: number | null = null;

async function main(): Promise<void> {
  needPrograms({ taskset: 'util-linux', nginx: 'nginx-light', wrk: 'wrk' });
  const cells = flags.cells.split(',').filter((cell) => cell !== OPEN_STREAMS);
  const unknown = cells.filter((cell) => CELLS[kindOf(cell)] === undefined);
  if (unknown.length > 0) throw new Error(`expected cells such as "plain 32", got ${unknown.join(', ')}`);
  const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
  try {
    const subjects = await startSubjects(folder);
    const rounds: Round[] = [];
    for (let round = 0; round <= flags.rounds; round += 1) {
      // Round 0 warms up and is thrown away.
      const seconds = round === 0 ? 2 : flags.seconds;
      const measured = await measureRound(cells, subjects, { seconds, folder });
      if (round > 0) rounds.push(measured);
      note(`round ${round} of ${flags.rounds} done`);
    }
    const own = subjects.find(({ name }) => name === 'cutover');
    const holds = flags.cells.includes(OPEN_STREAMS) && own !== undefined;
    report(rowsOf(cells, rounds), rounds.length, holds ? await measureOpenStreams(own) : null);
  } finally {
    for (const started of stops.reverse()) await started.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startSubjects(folder: string): Promise<Subject[]> {
  const ports = await freePorts('127.0.0.1', 14);
  const port = (index: number) => ports[index] as number;
  const providers: ProviderPorts = { plain: [port(0), port(1)], stream: [port(2), port(3)] };
  stops.push(await startPlainProviders(folder, providers.plain));
  for (const stream of providers.stream) {
    const script = join(__dirname, 'gateway', 'stream-provider.js');
    stops.push(startPinned(1, process.execPath, [script, `${stream}`, '2']));
  }
  for (const stream of providers.stream) await untilAnswers(`http://127.0.0.1:${stream}/`);
  const nodeFlags = flags.node.split(' ').filter((flag) => flag !== '');
  const starts: Record<string, () => Promise<{ subject: Subject; started?: Started }>> = {
    direct: async () => ({ subject: directSubject(providers) }),
    nginx: () => startNginxSubject(folder, { plain: port(4), stream: port(5) }, providers),
    go: () => startGoSubject({ plain: port(6), stream: port(7) }, providers),
    cutover: () =>
      startOwnSubject(join(folder, 'own'), { data: port(8), admin: port(9) }, providers, nodeFlags),
    traced: async () => {
      const endpoint = `http://127.0.0.1:${port(13)}`;
      stops.push(startPinned(1, process.execPath, ['--eval', COLLECTOR, `${port(13)}`]));
      await untilAnswers(endpoint);
      const { subject, started } = await startOwnSubject(
        join(folder, 'traced'),
        { data: port(11), admin: port(12) },
        providers,
        nodeFlags,
        {
          start: (command, args, env) =>
            startPinned(0, command, args, { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }),
        },
      );
      return { subject: { ...subject, name: 'traced' }, started };
    },
    portkey: () => startPortkeySubject(port(10), providers),
  };
  const subjects: Subject[] = [];
  for (const name of flags.only.split(',')) {
    const start = starts[name];
    if (start === undefined) throw new Error(`expected subjects among ${Object.keys(starts)}, got "${name}"`);
    const { subject, started } = await start();
    subjects.push(subject);
    if (started !== undefined) stops.push(started);
  }
  return subjects;
}

async function measureRound(
  cells: readonly string[],
  subjects: readonly Subject[],
  options: MeasureOptions,
): Promise<Round> {
  const round = new Map<string, Map<string, Measured>>();
  for (const cell of cells) {
    const { measures, measure } = CELLS[kindOf(cell)] as (typeof CELLS)[string];
    const measured = new Map<string, Measured>();
    for (const subject of subjects) {
      if (!measures.includes(subject.name)) continue;
      measured.set(subject.name, await measure(subject, countOf(cell), options));
    }
    if (cell === 'plain 32') capacity = measured.get('cutover')?.perSecond ?? capacity;
    round.set(cell, measured);
  }
  return round;
}

function halfRate(): number {
  if (flags.rate !== null) return flags.rate;
  if (capacity === null) throw new Error('expected --rate, or "plain 32" of cutover before the cell "half"');
  return capacity / 2;
}

function kindOf(cell: string): string {
  return cell.replace(/ \d+$/, '');
}

function countOf(cell: string): number {
  return Number(/\d+$/.exec(cell)?.[0] ?? 1);
}

function report(rows: readonly Row[], rounds: number, openStreams: OpenStreams | null): void {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ machine, rounds, rows, openStreams })}\n`);
    return;
  }
  print(
    `${machine}; medians of ${rounds} interleaved rounds of ${flags.seconds} s; streams: time to first content`,
  );
  for (const line of tableOf(rows)) print(line);
  if (openStreams !== null) {
    const { opened, restMb, openMb } = openStreams;
    print(`${opened} open streams: ${openMb.toFixed(0)} MB, ${(openMb - restMb).toFixed(0)} MB above rest`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

void runBench('bench:gateway', main);
