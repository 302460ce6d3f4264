import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LARGE_BODY, type Pace, PLAIN_BODY, streamBody } from './answers';
import { goProgram } from './go-program';
import { runPinned } from './pinned-process';
import { cpuMicros, residentMb } from './process-usage';
import type { ProviderKind, Subject } from './subjects';

/** One cell of one round. */
export interface Measured {
  readonly perSecond: number;
  /** Of plain answers, or of the first content of streams. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Per request or stream. */
  readonly cpuMicros: number;
  readonly residentMb: number;
  readonly failed: number;
}

export interface MeasureOptions {
  readonly seconds: number;
  /** Where scripts and bodies are put. */
  readonly folder: string;
}

/** Closed loop: each connection sends its next request when it has its answer. */
export function measurePlain(
  subject: Subject,
  connections: number,
  options: MeasureOptions,
): Promise<Measured> {
  return measureClosedLoop(subject, connections, 'plain', PLAIN_BODY, options);
}

/** The same with bodies of 20 MB, to the providers of streams: nginx, the other one, answers before it has read a body. */
export function measureLargeBodies(
  subject: Subject,
  connections: number,
  options: MeasureOptions,
): Promise<Measured> {
  return measureClosedLoop(subject, connections, 'stream', LARGE_BODY, options);
}

async function measureClosedLoop(
  subject: Subject,
  connections: number,
  kind: ProviderKind,
  body: string,
  { seconds, folder }: MeasureOptions,
): Promise<Measured> {
  const headers = Object.entries({ 'content-type': 'application/json', ...subject.headers[kind] });
  const file = join(folder, 'post.lua');
  writeFileSync(
    file,
    `wrk.method = "POST"\nwrk.body = [==[${body}]==]\n${headers
      .map(([name, value]) => `wrk.headers["${name}"] = [==[${value}]==]`)
      .join('\n')}
    done = function(summary, latency, requests)
      local e = summary.errors
      io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
    end\n`,
  );
  const before = cpuMicros(subject.pid);
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', file, subject.url[kind]];
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

const OPEN_LOOP_CONNECTIONS = 128;

/** Open loop: requests start at a constant rate, and their time runs from when they were meant to. */
export async function measureOpenLoop(
  subject: Subject,
  rate: number,
  { seconds, folder }: MeasureOptions,
): Promise<Measured> {
  const file = join(folder, 'body.json');
  writeFileSync(file, PLAIN_BODY);
  const { host, pathname } = new URL(subject.url.plain);
  const before = cpuMicros(subject.pid);
  const args = [host, pathname, Math.round(rate), OPEN_LOOP_CONNECTIONS, seconds, file].map(String);
  const text = await runPinned(1, goProgram('open-loop'), args);
  const { requests = 0, failed = 0, p50Ms = 0, p99Ms = 0 } = JSON.parse(text) as Record<string, number>;
  return {
    perSecond: requests / seconds,
    p50Ms,
    p99Ms,
    // One second more than was counted.
    cpuMicros: (cpuMicros(subject.pid) - before) / (rate * (seconds + 1)),
    residentMb: residentMb(subject.pid),
    failed,
  };
}

/** Keeps so many streams open, the next one begins when one has ended. */
export async function measureStreams(
  subject: Subject,
  streams: number,
  pace: Pace,
  { seconds }: MeasureOptions,
): Promise<Measured> {
  const before = cpuMicros(subject.pid);
  const args = [join(__dirname, 'stream-load.js'), subject.url.stream, `${streams}`, `${seconds}`];
  const headers = JSON.stringify(subject.headers.stream);
  const text = await runPinned(1, process.execPath, [...args, headers, pace]);
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

export interface OpenStreams {
  readonly restMb: number;
  readonly openMb: number;
  readonly opened: number;
}

const OPEN_STREAMS = 1_000;

/** What 1,000 streams held open at once cost in resident memory, MB above rest. */
export async function measureOpenStreams(subject: Subject): Promise<OpenStreams> {
  await sleep(2_000);
  const restMb = residentMb(subject.pid);
  let openMb = restMb;
  const agent = new Agent({ keepAlive: false, maxSockets: OPEN_STREAMS });
  const body = streamBody('slow');
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
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
        sent.end(body);
      });
    }),
  );
  openMb = Math.max(openMb, residentMb(subject.pid));
  return { restMb, openMb, opened };
}
