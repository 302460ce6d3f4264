import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readZip } from '../../../src/assess/usage/files/zip-archive';
import { readDeepSeekExport } from '../../../src/assess/usage/formats/deepseek-export';
import { built, runNode } from '../../support/cli';
import { zipOf } from '../../support/zip-file';

const ZIP = join(__dirname, '../../../examples/usage/deepseek-export.zip');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'exports-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a DeepSeek export', () => {
  const header = 'user_id,utc_date,model,api_key_name,api_key,type,price,amount';
  const row = (type: string, amount: string) => `u,2026-01-05,deepseek-chat,prod,sk,${type},0.1,${amount}`;
  const read = (...rows: string[]) =>
    readDeepSeekExport([{ name: 'amount.csv', text: [header, ...rows].join('\r\n') }]);

  it('is put together from its long form', () => {
    const { buckets } = read(
      row('input_cache_hit_tokens', '40'),
      row('input_cache_miss_tokens', '60'),
      row('output_tokens', '7'),
      row('request_count', '3'),
    );
    expect(buckets).toEqual([
      {
        startMs: Date.UTC(2026, 0, 5),
        endMs: Date.UTC(2026, 0, 6),
        calls: 3,
        model: 'deepseek-chat',
        caller: 'prod',
        inputTokens: 100,
        cachedTokens: 40,
        outputTokens: 7,
        serviceTier: null,
        embeddings: null,
      },
    ]);
  });

  it('does not count input twice where it is named as a sum as well', () => {
    const { buckets } = read(
      row('input_cache_hit_tokens', '40'),
      row('input_cache_miss_tokens', '60'),
      row('input_tokens', '100'),
    );
    expect(buckets[0]?.inputTokens).toBe(100);
  });

  it('rejects rows that it cannot read, with file and line', () => {
    const { rejects, rows } = read(
      row('output_tokens', 'many'),
      row('thinking_tokens', '5'),
      row('output_tokens', '-5'),
      'u,2026-01-05',
      row('output_tokens', '5').replace('2026-01-05', '05.01.2026'),
    );
    expect(rows).toBe(5);
    expect(rejects.map(({ place }) => place)).toEqual(
      [2, 3, 4, 5, 6].map((line) => `amount.csv line ${line}`),
    );
    expect(rejects[1]?.reason).toBe('the type "thinking_tokens" is not known');
  });

  it('is refused when it is another file', () => {
    expect(() => readDeepSeekExport([{ name: 'x.csv', text: 'a,b\n1,2' }])).toThrow(
      'x.csv has neither the columns',
    );
  });
});

describe('a zip archive', () => {
  it('gives its CSV files', async () => {
    expect((await readZip(ZIP)).map(({ name }) => name)).toEqual(['amount-2026-10.csv', 'cost-2026-10.csv']);
  });

  it.each<[string, (bytes: Buffer) => Buffer, string]>([
    ['cut short', (bytes) => bytes.subarray(0, bytes.length - 40), 'it has no directory'],
    [
      'without its first entry',
      (bytes) => Buffer.concat([Buffer.alloc(4), bytes.subarray(4)]),
      'does not start where',
    ],
    ['encrypted', (bytes) => edit(bytes, (at) => bytes.writeUInt16LE(1, at + 8)), 'is encrypted'],
    [
      'that claims fewer bytes',
      (bytes) => edit(bytes, (at) => bytes.writeUInt32LE(10, at + 24)),
      'does not have the 10 bytes',
    ],
    [
      'that claims more bytes',
      (bytes) => edit(bytes, (at) => bytes.writeUInt32LE(99_999, at + 24)),
      'does not have the 99999 bytes',
    ],
    [
      'that claims terabytes',
      (bytes) => edit(bytes, (at) => bytes.writeUInt32LE(0xfffffff0, at + 24)),
      'does not have the 4294967280 bytes',
    ],
    [
      'of pictures',
      (bytes) => Buffer.from(bytes.toString('latin1').replaceAll('.csv', '.png'), 'latin1'),
      'holds no .csv file',
    ],
  ])('%s is refused', async (_, damage, message) => {
    const path = join(folder, 'damaged.zip');
    writeFileSync(path, damage(readFileSync(ZIP)));
    await expect(readZip(path)).rejects.toThrow(message);
  });
});

describe('a zip bomb', () => {
  const bomb = Buffer.alloc(300_000_000, 'amount,type,model\n');

  it('is refused while it unpacks, in a fraction of the memory that it asks for', async () => {
    const path = join(folder, 'bomb.zip');
    writeFileSync(path, zipOf('amount.csv', bomb));
    const script = `require(${JSON.stringify(built('src/assess/usage/files/zip-archive.js'))})
      .readZip(${JSON.stringify(path)})
      .then(() => 'it was read', (error) => error.message)
      .then((said) => console.log(JSON.stringify([said, require('node:fs').readFileSync('/proc/self/status', 'utf8')])))`;
    const { stdout } = await runNode('-e', [script], {});
    const [said, status] = JSON.parse(stdout) as [string, string];
    // The most that it had in memory; getrusage would count what jest had before it became this process.
    const mostKb = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
    expect(said).toBe(`${path} unpacks to over 64 MiB, the most that is read of such a file`);
    expect(mostKb).toBeLessThan(250_000);
  });

  const lines = Array.from({ length: 20_000 }, (_, at) => `${Math.sin(at)},input_tokens,m\n`).join('');
  it.each([
    ['far above its size', zipOf('amount.csv', bomb.subarray(0, 30_000_000)), 'over 250 times its size'],
    ['whose entries share their bytes', zipOf('amount.csv', Buffer.from(lines), 1_000), 'over 250 times'],
  ])('is refused: %s', async (_, archive, limit) => {
    const path = join(folder, 'bomb.zip');
    writeFileSync(path, archive);
    await expect(readZip(path)).rejects.toThrow(`${path} unpacks to ${limit}`);
  });

  it('is refused when it is damaged within', async () => {
    const path = join(folder, 'bomb.zip');
    const archive = zipOf('amount.csv', Buffer.from(lines));
    archive.fill(0xff, 100, 200);
    writeFileSync(path, archive);
    await expect(readZip(path)).rejects.toThrow('amount.csv is damaged and cannot be extracted');
  });
});

/** Edits the first entry of the directory. */
function edit(bytes: Buffer, change: (at: number) => void): Buffer {
  change(bytes.indexOf(Buffer.from('PK\x01\x02', 'latin1')));
  return bytes;
}
