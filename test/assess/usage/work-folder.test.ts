import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AssessmentPorts, type AssessmentRequest, assessUsage } from '../../../src/assess/assess-usage';
import { PriceFinder } from '../../../src/assess/prices/price-finder';
import { openWorkFolder } from '../../../src/assess/usage/files/work-folder';

const HEADER = 'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';
const ROW = '2026-10-05T08:00:00Z,100,10,200,10,1,gpt-4o';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'resume-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function log(name: string, rows: number): string {
  const path = join(folder, name);
  writeFileSync(path, [HEADER, ...Array<string>(rows).fill(ROW), ''].join('\n'));
  return path;
}

interface Attempt {
  folder: string | null;
  readonly phases: string[];
}

async function assess(files: readonly string[], earlier: string | null, stopAfter = Infinity) {
  const stop = new AbortController();
  const attempt: Attempt = { folder: null, phases: [] };
  const ports: AssessmentPorts = {
    finder: new PriceFinder([]),
    inquiry: null,
    now: new Date(0),
    signal: stop.signal,
    loaded: (sources) => {
      attempt.phases.push(`${sources.length} read`);
      if (sources.length >= stopAfter) stop.abort(new Error('WORKER_SHUTDOWN'));
    },
    attempt: {
      earlier,
      opened: (path) => {
        attempt.folder = path;
      },
      goesOnAfter: (reason) => reason instanceof Error && reason.message === 'WORKER_SHUTDOWN',
    },
  };
  const request: AssessmentRequest = {
    route: null,
    files,
    load: { maxRejectShare: 0.01 },
    window: { fromMs: null, toMs: null, days: 30 },
    legacyProvider: null,
    candidate: null,
    warmUpDays: 7,
    migration: null,
    readiness: null,
  };
  const outcome = await assessUsage(request, ports).catch((error: unknown) => error as Error);
  return { ...attempt, outcome };
}

const calls = (outcome: Awaited<ReturnType<typeof assess>>['outcome']) =>
  outcome instanceof Error ? outcome.message : outcome.usage.totals.calls;

it('goes on after the files that an attempt which was stopped had read', async () => {
  const files = [log('a.csv', 3), log('b.csv', 5)];
  const first = await assess(files, null, 1);
  expect(calls(first.outcome)).toBe('WORKER_SHUTDOWN');
  const left = readdirSync(first.folder as string);
  expect(left.filter((name) => name.startsWith('read-'))).toHaveLength(1);

  const second = await assess(files, first.folder);
  expect(calls(second.outcome)).toBe(8);
  expect(existsSync(first.folder as string)).toBe(false);
  expect(existsSync(second.folder as string)).toBe(false);
});

it('reads a file again that has changed since', async () => {
  const files = [log('a.csv', 3), log('b.csv', 5)];
  const first = await assess(files, null, 1);
  log('a.csv', 4);
  const second = await assess(files, first.folder);
  expect(calls(second.outcome)).toBe(9);
});

it('takes what was read from the folder, not from the file', async () => {
  const files = [log('a.csv', 3), log('b.csv', 5)];
  const first = await assess(files, null, 2);
  const staged = readdirSync(first.folder as string).filter((name) => name.startsWith('staged-'));
  expect(staged).toHaveLength(2);
  // The folder's Parquet gone, what was noted cannot be read: proof that it is what is read.
  for (const name of staged) rmSync(join(first.folder as string, name));
  const second = await assess(files, first.folder);
  expect(calls(second.outcome)).toMatch('cannot be read');
});

it('starts anew without the folder, as on another machine', async () => {
  const files = [log('a.csv', 3)];
  const { outcome } = await assess(files, join(tmpdir(), 'cutover-assess-gone'));
  expect(calls(outcome)).toBe(3);
});

it('removes its folder after an end of any other kind', async () => {
  const { folder: used } = await assess([join(folder, 'nowhere.csv')], null);
  expect(existsSync(used as string)).toBe(false);
});

it('takes over no folder that it did not make', async () => {
  const other = join(folder, 'precious');
  mkdirSync(other);
  writeFileSync(join(other, 'file'), 'text');
  const opened = await openWorkFolder(other);
  expect(readdirSync(opened)).toEqual([]);
  expect(existsSync(join(other, 'file'))).toBe(true);
  rmSync(opened, { recursive: true });
});
