import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../src/temporal-server/free-port';
import { readOptions, runBench } from './bench-program';
import { MODEL, PLAIN_BODY, streamBody } from './gateway/answers';
import { type Started, startPinned, untilAnswers } from './gateway/pinned-process';
import { splitInHalf } from './gateway/subjects';

/**
 * The gateway at 80% of what it can take while the candidate of half its traffic fails in every way of the
 * fault table: counts what callers lose that legacy could have answered. Ambiguous failures beyond the replay
 * budget (as it is by default) reach callers by design and are counted apart. Needs Linux and taskset.
 */
const flags = readOptions('bench:soak', 'Counts what callers lose while the candidate fails in every way.', {
  seconds: ['how long the soak takes', 120],
  well: ['the part of its requests that the candidate answers well', 0.5],
  json: ['prints one line of JSON', false],
});

const LOAD = 0.8;
const CAPACITY_SECONDS = 8;
const CAPACITY_CALLERS = 32;
const STREAM_BODY = streamBody('steady');
const TICK_MS = 5;
/** What a large pool of a caller holds; without an end, a stall of the machine overflows the listen queue. */
const MAX_CONNECTIONS = 512;
/** Longer than any deadline of the gateway under test. */
const CALLER_PATIENCE_MS = 20_000;

interface Outcome {
  readonly stream: boolean;
  /** Null when the answer was whole and right. */
  readonly failure: string | null;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-soak-'));
  const stops: Started[] = [];
  try {
    const [legacy = 0, candidate = 0, data = 0, admin = 0] = await freePorts('127.0.0.1', 4);
    const provider = (port: number, well: string) =>
      startPinned(1, process.execPath, [join(__dirname, 'gateway', 'soak-provider.js'), `${port}`, well]);
    stops.push(provider(legacy, '1'), provider(candidate, `${flags.well}`));
    for (const port of [legacy, candidate]) await untilAnswers(`http://127.0.0.1:${port}/`);
    const log = join(folder, 'requests.log');
    const gateway = await startGateway(folder, { legacy, candidate, data, admin, log });
    stops.push(gateway);
    const url = `http://127.0.0.1:${data}/v1/chat/completions`;
    const capacity = await measureCapacity(url);
    await splitInHalf(`http://127.0.0.1:${admin}`, 'chat');
    note(`capacity ${capacity.toFixed(0)} requests a second; soaking at ${(capacity * LOAD).toFixed(0)}`);
    const linesBefore = await settledLines(log);
    const outcomes = await soak(url, capacity * LOAD, flags.seconds);
    const lines = (await settledLines(log)).slice(linesBefore.length);
    const faults = (await (await fetch(`http://127.0.0.1:${candidate}/`)).json()) as Record<string, number>;
    report(capacity, outcomes, lines, faults);
  } finally {
    for (const started of stops.reverse()) await started.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startGateway(
  folder: string,
  at: { legacy: number; candidate: number; data: number; admin: number; log: string },
): Promise<Started> {
  const base = (port: number) => ({ baseUrl: `http://127.0.0.1:${port}/v1` });
  const timeouts = { connect: '1s', firstContent: '500ms', streamIdle: '500ms', plainTotal: '500ms' };
  const config = join(folder, 'cutover.json');
  writeFileSync(
    config,
    JSON.stringify({
      providers: { old: base(at.legacy), new: { ...base(at.candidate), timeouts } },
      routes: { chat: { legacy: 'old', candidate: 'new', models: { [MODEL]: 'gpt-4o-mini' } } },
      gateway: {
        stateDirectory: join(folder, 'state'),
        // Else it would be open nearly all of the time, and little would be tried.
        breaker: { open: '200ms', openMax: '200ms' },
      },
    }),
  );
  const main = join(__dirname, '..', 'src', 'cli', 'main.js');
  const addresses = ['--data', `127.0.0.1:${at.data}`, '--admin', `127.0.0.1:${at.admin}`];
  const args = [main, 'gateway', '--config', config, ...addresses, '--log', at.log];
  const started = startPinned(0, process.execPath, args, { CUTOVER_ADMIN_TOKEN: 'bench' });
  await untilAnswers(`http://127.0.0.1:${at.data}/healthz`);
  return started;
}

/** Requests a second that so many callers get from legacy alone, one after the other. */
async function measureCapacity(url: string): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  let done = 0;
  let from = 0;
  const callers = async (untilMs: number) => {
    const one = async (index: number) => {
      for (let turn = index; performance.now() < untilMs; turn += 1) {
        await ask(url, agent, turn % 2 === 1);
        done += 1;
      }
    };
    await Promise.all(Array.from({ length: CAPACITY_CALLERS }, (_, index) => one(index)));
  };
  await callers(performance.now() + CAPACITY_SECONDS * 1000);
  from = done;
  await callers(performance.now() + CAPACITY_SECONDS * 1000);
  agent.destroy();
  return (done - from) / CAPACITY_SECONDS;
}

/** An open-loop load: what is due is sent, whatever became of what was sent before. */
async function soak(url: string, perSecond: number, seconds: number): Promise<Outcome[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
  const asked: Promise<Outcome>[] = [];
  const startMs = performance.now();
  for (;;) {
    const passedMs = performance.now() - startMs;
    if (passedMs >= seconds * 1000) break;
    while (asked.length < (passedMs / 1000) * perSecond) asked.push(ask(url, agent, asked.length % 2 === 1));
    await sleep(TICK_MS);
  }
  const outcomes = await Promise.all(asked);
  agent.destroy();
  return outcomes;
}

function ask(url: string, agent: Agent, stream: boolean): Promise<Outcome> {
  const body = stream ? STREAM_BODY : PLAIN_BODY;
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve) => {
    const end = (failure: string | null) => resolve({ stream, failure });
    const sent = request(url, { method: 'POST', agent, headers, timeout: CALLER_PATIENCE_MS }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece: string) => {
        text += piece;
      });
      answer.on('end', () => end(judge(answer.statusCode ?? 0, text, stream)));
      answer.on('error', (error: NodeJS.ErrnoException) => end(`cut: ${error.code}`));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    sent.end(body);
  });
}

/** Null for the whole answer that both providers give when they are well. */
function judge(status: number, text: string, stream: boolean): string | null {
  if (status !== 200) return `status ${status}`;
  const isWhole = stream
    ? text.includes('"content":"Hello"') && text.endsWith('data: [DONE]\n\n') && !text.includes('"error"')
    : text.endsWith('}') && text.includes('"content":"Hello"');
  return isWhole ? null : 'not the whole answer';
}

/** The log's lines of requests, once no more are added. */
async function settledLines(file: string): Promise<string[]> {
  for (let before = -1; ; ) {
    const lines = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"msg":"request"'));
    if (lines.length === before) return lines;
    before = lines.length;
    await sleep(2_500);
  }
}

function report(
  capacity: number,
  outcomes: readonly Outcome[],
  lines: readonly string[],
  faults: Readonly<Record<string, number>>,
): void {
  const failures: Record<string, number> = {};
  for (const { stream, failure } of outcomes) {
    if (failure === null) continue;
    const name = `${stream ? 'stream' : 'plain'}: ${failure}`;
    failures[name] = (failures[name] ?? 0) + 1;
  }
  const failed = outcomes.filter(({ failure }) => failure !== null).length;
  const budgetExhausted = lines.filter((line) => line.includes('"why":"replay budget exhausted"')).length;
  const result = {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`,
    seconds: flags.seconds,
    capacityPerSecond: Math.round(capacity),
    requests: outcomes.length,
    rescued: lines.filter((line) => line.includes('"failover":')).length,
    shed: lines.filter((line) => line.includes('"failover":"shed"')).length,
    failed,
    budgetExhausted,
    lost: failed - budgetExhausted,
    failures,
    candidateAnswers: faults,
  };
  if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    const { machine, requests, rescued, shed, seconds, lost } = result;
    const ways = Object.keys(faults).length;
    print(`${machine}; ${seconds} s at ${LOAD * 100}% of ${result.capacityPerSecond} requests a second`);
    print(`${requests} requests; the candidate answered in ${ways} ways, legacy rescued ${rescued}`);
    print(`(${shed} of them shed by the breaker)`);
    print(`${failed} failed for their callers, ${budgetExhausted} of these beyond the replay budget`);
    print(`lost that legacy could have answered: ${lost}`);
    for (const [name, count] of Object.entries(failures)) print(`  ${count} ${name}`);
  }
  if (result.lost > 0) process.exitCode = 1;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

void runBench('bench:soak', main);
