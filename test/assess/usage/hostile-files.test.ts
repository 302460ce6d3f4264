import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { LoadOptions } from '../../../src/assess/usage/usage-loader';
import { analyzeFiles } from '../../support/usage-analysis';

const HEADER = 'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';
const GOOD = '2026-10-05T08:00:00Z,100,10,200,10,1,gpt-4o';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function analyze(paths: string | string[], options: Partial<LoadOptions> = {}) {
  const { analysis } = await analyzeFiles([paths].flat(), { load: { maxRejectShare: 0.9, ...options } });
  return { ...analysis, source: analysis.sources[0] };
}

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const csv = (...lines: string[]) => write('usage.csv', `${[HEADER, ...lines].join('\n')}\n`);

it('counts rows that do not fit, with line or record and reason, and adds up the rest', async () => {
  const path = csv(
    GOOD,
    '2026-10-05T08:00:00Z,100,10,200,ten,1,gpt-4o',
    '2026-10-05T08:00:00Z,100,10,200',
    `${GOOD},one more`,
    'yesterday,100,10,200,10,1,gpt-4o',
    '2026-10-05T08:00:00Z,100,10,200,-5,1,gpt-4o',
    '2026-10-05T08:00:00Z,100,10,200,1.5,1,gpt-4o',
    '2026-10-05T08:00:00Z,100,10,200,inf,1,gpt-4o',
    '2026-10-05T08:00:00Z,100,10,200,10,1,',
    '0026-10-05T08:00:00Z,100,10,200,10,1,gpt-4o',
    GOOD,
  );
  const { source, totals } = await analyze(path);
  expect(totals).toMatchObject({ calls: 2, inputTokens: 20, outputTokens: 2 });
  expect(source?.rows).toBe(11);
  expect(source?.rejects.total).toBe(9);
  expect(Object.fromEntries(source?.rejects.byReason ?? [])).toEqual({
    'a value of prompt_tokens that is not a number': 1,
    'missing columns': 1,
    'too many columns': 1,
    'no time, or one that cannot be read (or the line is not an object)': 1,
    'calls or tokens that are not whole numbers from 0 to 10^15': 3,
    'no model': 1,
    'a time outside the years 2015 to 2100: wrong unit?': 1,
  });
  expect(source?.rejects.examples[0]).toEqual({
    place: 'line 3',
    reason: expect.stringContaining('Could not convert string "ten"'),
  });
});

it('refuses the run above the threshold and shows why', async () => {
  const path = csv(GOOD, 'yesterday,100,10,200,10,1,gpt-4o');
  await expect(analyze(path, { maxRejectShare: 0.01 })).rejects.toThrow(
    /1 of 2 rows were rejected, at most 1% may be\n.*no time.*\n {2}line 3: no time/,
  );
});

it.each(['\n', '\r\n'])(
  'names the line of a row that does not fit, whatever is above it (%j)',
  async (end) => {
    const lines = [
      HEADER,
      GOOD,
      '',
      '2026-10-05T08:00:00Z,100,10,200,ten,1,gpt-4o',
      GOOD.replace('gpt-4o', '"a name"'),
      'yesterday,100,10,200,10,1,gpt-4o',
      GOOD,
      '2026-10-05T08:00:00Z,100,10,200,10,1.5,gpt-4o',
    ];
    const text = lines.join(end);
    for (const path of [write('usage.csv', text), write('usage.csv.gz', gzipSync(`${text}${end}`))]) {
      const { source } = await analyze(path);
      expect(source?.rejects.examples.map(({ place }) => place)).toEqual(['line 4', 'line 6', 'line 8']);
    }
  },
);

it('names the line on which a row of several lines begins', async () => {
  const path = csv(GOOD, GOOD.replace('gpt-4o', '"two\nlines, ""quoted"""'), GOOD, 'yesterday,1,1,200,1,1,m');
  const { source, totals } = await analyze(path);
  expect(totals.calls).toBe(2);
  expect(source?.rejects.examples.map(({ place }) => place)).toEqual(['line 3', 'line 6']);
});

it('takes an offset for what it says, and no zone for UTC', async () => {
  const path = csv(
    GOOD.replace('2026-10-05T08:00:00Z', '2026-10-05T10:00:00+02:00'),
    GOOD.replace('2026-10-05T08:00:00Z', '2026-10-05 08:00:00'),
    GOOD.replace('2026-10-05T08:00:00Z', '2026-10-05 08:00:00.000'),
  );
  const { source } = await analyze(path);
  expect([source?.firstMs, source?.lastMs]).toEqual([Date.UTC(2026, 9, 5, 8), Date.UTC(2026, 9, 5, 8)]);
});

it('refuses a file in which an open quote swallows rows', async () => {
  const path = csv(GOOD, '2026-10-05T08:00:00Z,100,10,200,10,1,"gpt-4o', ...Array<string>(50).fill(GOOD));
  await expect(analyze(path)).rejects.toThrow('a quote that is not closed');
});

it('refuses two stray quotes far apart in a large file, whose rows between them would be lost', async () => {
  const lines = Array<string>(400_000).fill(GOOD);
  lines[150_000] = lines[300_000] = '2026-10-05T08:00:00Z,100,10,200,10,1,"gpt-4o';
  await expect(analyze(write('usage.csv', [HEADER, ...lines, ''].join('\n')))).rejects.toThrow(
    'a quote that is not closed',
  );
});

it('counts a wrongly quoted line when it swallowed nothing', async () => {
  const { totals, source } = await analyze(csv(GOOD, GOOD.replace('gpt-4o', '"gpt"-4o'), GOOD));
  expect(totals.calls).toBe(2);
  expect(source?.rejects.total).toBe(1);
});

it('refuses a gigabyte in one line without holding it in memory', async () => {
  const path = join(folder, 'long.csv');
  const file = createWriteStream(path);
  file.write(`${HEADER}\n${GOOD}\n2026-10-05T08:00:00Z,100,10,200,10,1,"`);
  const block = Buffer.alloc(4_194_304, 'a');
  for (let written = 0; written < 1_073_741_824; written += block.length) {
    if (!file.write(block)) await new Promise<void>((done) => file.once('drain', done));
  }
  await new Promise<void>((done) => file.end(`"\n${GOOD}\n`, () => done()));
  const before = process.memoryUsage.rss();
  await expect(analyze(path)).rejects.toThrow('a line of over 2 MB');
  expect(process.memoryUsage.rss() - before).toBeLessThan(500_000_000);
});

it.each([
  ['an empty file', 'a.csv', '', 'is empty'],
  ['one column', 'a.csv', 'hello\nworld\n', 'its first line has 1 column'],
  ['UTF-16', 'a.csv', Buffer.from('\ufefftime,model\n', 'utf16le'), 'is UTF-16'],
  ['a binary', 'a.csv', Buffer.from([1, 0, 2, 0, 3]), 'is binary'],
  ['a column twice', 'a.csv', 'time,model,time\n', 'the column "time" twice'],
  ['unknown columns', 'a.csv', 'alpha,beta\n1,2\n', 'fits no known format (it has: alpha, beta)'],
  ['an array of nothing', 'a.json', '[]', 'holds no rows'],
  ['cut JSON', 'a.json', '{"data":[{"type":', 'starts like JSON'],
  ['cut Parquet', 'a.parquet', Buffer.from('PAR1....PAR1'), 'cannot be read'],
  ['a damaged zip', 'a.zip', Buffer.from('PK\x03\x04rest of it', 'latin1'), 'is a damaged zip'],
  ['zstd', 'a.csv.zst', Buffer.from('28b52ffd2004000000000000', 'hex'), 'is zstd; unpack it first'],
  ['damaged gzip', 'a.csv.gz', Buffer.concat([gzipSync(HEADER).subarray(0, 20)]), 'damaged gzip'],
])('says what is wrong with %s', async (_, name, content, message) => {
  await expect(analyze(write(name, content))).rejects.toThrow(message);
});

it('refuses a gzip bomb before it is read', async () => {
  const bomb = gzipSync(Buffer.concat([Buffer.from(`${HEADER}\n`), Buffer.alloc(100_000_000, '\n')]));
  await expect(analyze(write('bomb.csv.gz', bomb))).rejects.toThrow('unpacks to over 250 times its size');
});

it('refuses a gzip bomb of what would be held in memory, at a lower limit', async () => {
  const bucket = JSON.stringify({
    object: 'page',
    data: [{ object: 'bucket', start_time: 1, end_time: 2, results: [] }],
  });
  const bomb = gzipSync(Buffer.concat([Buffer.from(bucket), Buffer.alloc(20_000_000, ' ')]));
  const read = analyze(write('openai.json.gz', bomb), { format: 'openai-usage' });
  await expect(read).rejects.toThrow('openai.json.gz unpacks to over 250 times its size');
});

it('goes by what a file is, not by its name: the engine unpacks nothing that was not counted', async () => {
  const text = `${HEADER}\n${GOOD}\n`;
  expect((await analyze(write('plain.csv.gz', text))).source?.rows).toBe(1);
  expect((await analyze(write('plain.csv.zst', text))).source?.rows).toBe(1);
  expect((await analyze(write('packed.csv', gzipSync(text)))).source?.rows).toBe(1);
});

it('counts JSON lines that are no objects', async () => {
  const good =
    '{"request_created_at":"2026-10-05T08:00:00Z","latency":1,"time_to_first_token":1,"prompt_tokens":5,"completion_tokens":2,"model":"m"}';
  const path = write('a.jsonl', [good, '{"model":', '[1,2]', '"text"', good, ''].join('\n'));
  const { totals, source } = await analyze(path);
  expect(totals).toMatchObject({ calls: 2, inputTokens: 10 });
  expect(source).toMatchObject({ rows: 5, rejects: { total: 3 } });
  expect(source?.rejects.examples[0]?.place).toBe('record 2');
});

it('refuses a JSON line that is far too long', async () => {
  const path = write(
    'a.jsonl',
    `{"gateway":"g","route":"r","class":"other","epoch":1,"outcome":"ok","attempts":[],"model":"m","time":1}\n{"model":"${'m'.repeat(40_000_000)}"}\n`,
  );
  await expect(analyze(path)).rejects.toThrow('maximum_object_size');
});

const OBSERVATION =
  '{"type":"GENERATION","startTime":"2026-10-05T08:00:00Z","model":"m","level":"DEFAULT","usageDetails":{"input":5,"output":2}}';

it('reads a document that is far larger than what the engine may hold of it', async () => {
  const path = write(
    'large.json',
    `{"data":[\n${Array<string>(400_000).fill(OBSERVATION).join(',\n')}\n],"meta":{}}`,
  );
  const { analysis } = await analyzeFiles([path], { memoryMb: 300 });
  expect(analysis.sources).toMatchObject([{ format: 'langfuse', rows: 400_000, rejects: { total: 0 } }]);
});

it('refuses a document that is cut short, and counts elements that are no objects', async () => {
  const rows = Array<string>(20_000).fill(OBSERVATION).join(',');
  await expect(analyze(write('cut.json', `{"data":[${rows}`))).rejects.toThrow('cut.json is cut short');
  const { source, totals } = await analyze(write('odd.json', `{"data":[${rows},7,[1,2],"x",{"type":}]}`));
  expect(source).toMatchObject({ rows: 20_004, rejects: { total: 4 } });
  expect(totals.inputTokens).toBe(100_000);
});

it('reads a document of spans over many lines', async () => {
  const spans = readFileSync(join(__dirname, '../../../examples/usage/otlp.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const pretty = JSON.stringify(JSON.parse(spans[0] ?? ''), null, 2);
  const { totals, source } = await analyze(write('spans.json', pretty));
  expect(source).toMatchObject({ format: 'otel-otlp', rows: 2, skipped: 1 });
  expect(totals).toMatchObject({ calls: 1, inputTokens: 1100 });
});

it('takes names such as __proto__, formulas and terminal escapes as they are, or rejects them', async () => {
  const named = (model: string) => GOOD.replace('gpt-4o', model);
  const path = csv(
    named('__proto__'),
    named('constructor'),
    named('"=HYPERLINK(""http://x"")"'),
    named('\u001b[31mred'),
  );
  const { byModel, source } = await analyze(path);
  expect(byModel.map(({ model, calls }) => [model, calls])).toEqual([
    ['=HYPERLINK("http://x")', 1],
    ['__proto__', 1],
    ['constructor', 1],
  ]);
  expect(source?.rejects.byReason).toEqual([
    ['a model name that is empty, longer than 200 characters or holds control characters', 1],
  ]);
});

it('refuses a column mapped as model that holds something else', async () => {
  const path = csv(...Array.from({ length: 3000 }, (_, row) => GOOD.replace('gpt-4o', `request-${row}`)));
  await expect(analyze(path)).rejects.toThrow('over 2000 different models');
});

it('never fetches, whatever a path looks like', async () => {
  await expect(analyze('https://127.0.0.1:1/usage.csv')).rejects.toThrow('is not a file; download it first');
  await expect(analyze(join(folder, 'missing.csv'))).rejects.toThrow('there is no file');
  await expect(analyze(folder)).rejects.toThrow('is a folder');
});

it('reads files only', async () => {
  await expect(analyze('/dev/null')).rejects.toThrow('/dev/null is a pipe or a device');
});

it('refuses a log beside its copy, whose calls would count twice', async () => {
  const [log, copy, other] = ['log.csv', 'copy.csv', 'other.csv'].map((name) => {
    return write(name, `${HEADER}\n${name === 'other.csv' ? GOOD.replace('100', '200') : GOOD}\n`);
  }) as [string, string, string];
  await expect(analyze([log, copy])).rejects.toThrow(`${copy} holds the same bytes as ${log}`);
  expect((await analyze([log, other])).totals.calls).toBe(2);
});

it('reads gzip, globs, several files, and a file named twice once', async () => {
  write('a.csv.gz', gzipSync(`${HEADER}\n${GOOD}\n`));
  write("b'[1].csv", `${HEADER}\n${GOOD}\n\n`);
  const { totals, sources } = await analyze([join(folder, '*.csv*'), join(folder, "b'[1].csv")]);
  expect(sources).toHaveLength(2);
  expect(totals.calls).toBe(2);
});

it('stops when it is told to', async () => {
  const abort = new AbortController();
  abort.abort(new Error('enough'));
  await expect(analyze(csv(GOOD), { signal: abort.signal })).rejects.toThrow('enough');
});

it('does not take an unknown format by name', async () => {
  await expect(analyze(csv(GOOD), { format: 'excel' })).rejects.toThrow('expected one of the formats azure');
});
