import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePorts } from '../src/temporal-server/free-port';
import { PLAIN_BODY, STREAM_BODY } from './gateway/answers';
import { runPinned, type Started, startPinned, untilAnswers } from './gateway/pinned-process';
import { cpuMicros, residentMb } from './gateway/process-usage';
import {
  type Subject,
  startNginxSubject,
  startOwnSubject,
  startPlainProviders,
  startPortkeySubject,
} from './gateway/subjects';

/**
 * The gateway beside nginx (split_clients) and Portkey: all on core 0, load and providers on core 1, rounds
 * interleaved, medians of ratios within rounds. Needs Linux, taskset, nginx and wrk
 * (`apt-get install nginx-light wrk`).
 */
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string', default: 'nginx,cutover,portkey' },
    cells: { type: 'string', default: 'plain 1,plain 32,streams 1,streams 32' },
    /** Further flags of the gateway's node, such as --cpu-prof. */
    node: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});

interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
  readonly residentMb: number;
  readonly failed: number;
}

type Cell = 'plain 1' | 'plain 32' | 'streams 1' | 'streams 32';

const OPEN_STREAMS = 1_000;
const stops: Started[] = [];

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
  try {
    const ports = await freePorts('127.0.0.1', 9);
    const port = (index: number) => ports[index] as number;
    const providers = {
      plain: [port(0), port(1)],
      stream: [port(2), port(3)],
    } as const;
    stops.push(await startPlainProviders(folder, providers.plain));
    for (const stream of providers.stream) {
      stops.push(startPinned(1, process.execPath, [script('stream-provider'), `${stream}`, '2']));
    }
    for (const stream of providers.stream) await untilAnswers(`http://127.0.0.1:${stream}/`);
    const wanted = flags.only.split(',');
    const subjects: Subject[] = [];
    const add = ({ subject, started }: { subject: Subject; started: Started }) => {
      subjects.push(subject);
      stops.push(started);
    };
    if (wanted.includes('nginx')) {
      add(await startNginxSubject(folder, { plain: port(4), stream: port(5) }, providers));
    }
    const own = { data: port(6), admin: port(7) };
    const nodeFlags = flags.node.split(' ').filter((flag) => flag !== '');
    if (wanted.includes('cutover'))
      add(await startOwnSubject(join(folder, 'own'), own, providers, nodeFlags));
    if (wanted.includes('portkey')) add(await startPortkeySubject(port(8), providers));

    const wrkScript = join(folder, 'post.lua');
    const rounds: Record<string, Measured>[] = [];
    const cells = flags.cells.split(',') as Cell[];
    for (let round = 0; round <= Number(flags.rounds); round += 1) {
      const measured: Record<string, Measured> = {};
      for (const cell of cells) {
        for (const subject of subjects) {
          // Round 0 warms up and is thrown away.
          measured[`${cell} ${subject.name}`] = await measure(
            cell,
            subject,
            wrkScript,
            round === 0 ? 2 : Number(flags.seconds),
          );
        }
      }
      if (round > 0) rounds.push(measured);
      note(`round ${round} of ${flags.rounds} done`);
    }
    const ownSubject = subjects.find(({ name }) => name === 'cutover');
    const openStreams = ownSubject === undefined ? null : await measureOpenStreams(ownSubject);
    report(subjects, cells, rounds, openStreams);
  } finally {
    for (const started of stops.reverse()) await started.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function measure(cell: Cell, subject: Subject, wrkScript: string, seconds: number): Promise<Measured> {
  const [kind, count] = cell.split(' ') as ['plain' | 'streams', string];
  return kind === 'plain'
    ? measurePlain(subject, Number(count), wrkScript, seconds)
    : measureStreams(subject, Number(count), seconds);
}

async function measurePlain(
  subject: Subject,
  connections: number,
  wrkScript: string,
  seconds: number,
): Promise<Measured> {
  const headers = Object.entries({ 'content-type': 'application/json', ...subject.headers.plain });
  writeFileSync(
    wrkScript,
    `wrk.method = "POST"\nwrk.body = [==[${PLAIN_BODY}]==]\n${headers
      .map(([name, value]) => `wrk.headers["${name}"] = [==[${value}]==]`)
      .join('\n')}
    done = function(summary, latency, requests)
      local e = summary.errors
      io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
    end\n`,
  );
  const before = cpuMicros(subject.pid);
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', wrkScript, subject.url.plain];
  const text = await runPinned(1, 'wrk', args);
  const [requests = 0, durationMicros = 1, p50 = 0, p99 = 0, failed = 0] =
    /RESULT (.*)/.exec(text)?.[1]?.split(' ').map(Number) ?? [];
  return {
    perSecond: (requests / durationMicros) * 1_000_000,
    p50Ms: p50 / 1000,
    p99Ms: p99 / 1000,
    cpuMicros: (cpuMicros(subject.pid) - before) / requests,
    residentMb: residentMb(subject.pid),
    failed,
  };
}

async function measureStreams(subject: Subject, streams: number, seconds: number): Promise<Measured> {
  const before = cpuMicros(subject.pid);
  const args = [script('stream-load'), subject.url.stream, `${streams}`, `${seconds}`];
  const text = await runPinned(1, process.execPath, [...args, JSON.stringify(subject.headers.stream)]);
  const { ended, failed, firstP50Ms, firstP99Ms } = JSON.parse(text) as Record<string, number>;
  return {
    perSecond: (ended ?? 0) / seconds,
    p50Ms: firstP50Ms ?? Number.NaN,
    p99Ms: firstP99Ms ?? Number.NaN,
    cpuMicros: (cpuMicros(subject.pid) - before) / (ended ?? 1),
    residentMb: residentMb(subject.pid),
    failed: failed ?? 0,
  };
}

/** What 1,000 streams held open at once cost in resident memory, MB above rest. */
async function measureOpenStreams(
  subject: Subject,
): Promise<{ restMb: number; openMb: number; opened: number }> {
  await sleep(2_000);
  const restMb = residentMb(subject.pid);
  let openMb = restMb;
  const agent = new Agent({ keepAlive: false, maxSockets: OPEN_STREAMS });
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(STREAM_BODY),
    'x-bench-slow': '1',
  };
  let opened = 0;
  let open = 0;
  await Promise.all(
    Array.from({ length: OPEN_STREAMS }, () => {
      return new Promise<void>((resolve) => {
        const sent = request(subject.url.stream, { method: 'POST', agent, headers }, (answer) => {
          opened += 1;
          open += 1;
          if (open % 50 === 0) openMb = Math.max(openMb, residentMb(subject.pid));
          answer.resume();
          answer.on('close', () => {
            open -= 1;
            resolve();
          });
        });
        sent.on('error', () => resolve());
        sent.end(STREAM_BODY);
      });
    }),
  );
  openMb = Math.max(openMb, residentMb(subject.pid));
  return { restMb, openMb, opened };
}

function report(
  subjects: readonly Subject[],
  cells: readonly Cell[],
  rounds: readonly Record<string, Measured>[],
  openStreams: { restMb: number; openMb: number; opened: number } | null,
): void {
  const pick = (cell: Cell, name: string, field: keyof Measured) =>
    median(rounds.map((round) => round[`${cell} ${name}`]?.[field] ?? Number.NaN));
  const ratio = (cell: Cell, name: string, other: string, field: keyof Measured) =>
    median(
      rounds.map(
        (round) =>
          (round[`${cell} ${name}`]?.[field] ?? Number.NaN) /
          (round[`${cell} ${other}`]?.[field] ?? Number.NaN),
      ),
    );
  const rows = cells.flatMap((cell) =>
    subjects.map(({ name }) => ({
      cell,
      subject: name,
      perSecond: pick(cell, name, 'perSecond'),
      p50Ms: pick(cell, name, 'p50Ms'),
      p99Ms: pick(cell, name, 'p99Ms'),
      cpuMicros: pick(cell, name, 'cpuMicros'),
      residentMb: pick(cell, name, 'residentMb'),
      failed: rounds.reduce((sum, round) => sum + (round[`${cell} ${name}`]?.failed ?? 0), 0),
      toNginx: {
        perSecond: ratio(cell, name, 'nginx', 'perSecond'),
        p50Ms: ratio(cell, name, 'nginx', 'p50Ms'),
        cpuMicros: ratio(cell, name, 'nginx', 'cpuMicros'),
      },
      toPortkey: { perSecond: ratio(cell, name, 'portkey', 'perSecond') },
    })),
  );
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ machine, rounds: rounds.length, rows, openStreams })}\n`);
    return;
  }
  print(
    `${machine}; medians of ${rounds.length} interleaved rounds of ${flags.seconds} s; streams: time to first content`,
  );
  print(
    [
      'cell',
      'subject',
      'per second',
      'p50 ms',
      'p99 ms',
      'CPU us',
      'MB',
      'failed',
      'rate:nginx',
      'p50:nginx',
      'CPU:nginx',
      'rate:portkey',
    ]
      .map((title, index) => (index < 2 ? title.padEnd(11) : title.padStart(11)))
      .join(' '),
  );
  for (const row of rows) {
    const numbers = [
      row.perSecond.toFixed(0),
      row.p50Ms.toFixed(3),
      row.p99Ms.toFixed(3),
      row.cpuMicros.toFixed(0),
      row.residentMb.toFixed(0),
      `${row.failed}`,
      row.toNginx.perSecond.toFixed(3),
      row.toNginx.p50Ms.toFixed(2),
      row.toNginx.cpuMicros.toFixed(2),
      row.toPortkey.perSecond.toFixed(1),
    ];
    print(
      [row.cell.padEnd(11), row.subject.padEnd(11), ...numbers.map((text) => text.padStart(11))].join(' '),
    );
  }
  if (openStreams !== null) {
    const { opened, restMb, openMb } = openStreams;
    print(`${opened} open streams: ${openMb.toFixed(0)} MB, ${(openMb - restMb).toFixed(0)} MB above rest`);
  }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.filter((number) => !Number.isNaN(number)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function script(name: string): string {
  return join(__dirname, 'gateway', `${name}.js`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    note(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
