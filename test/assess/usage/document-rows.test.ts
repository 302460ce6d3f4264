import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { writeDocumentRows } from '../../../src/assess/usage/files/document-rows';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'document-rows-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function rowsOf(text: string, key = 'data', gzip = false): Promise<string[]> {
  const [path, target] = [join(folder, 'document.json'), join(folder, 'rows.jsonl')];
  writeFileSync(path, gzip ? gzipSync(text) : text);
  await writeDocumentRows({ path, gzip, key }, target);
  return readFileSync(target, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
}

const parsed = (lines: readonly string[]) => lines.map((line) => JSON.parse(line));

it('writes a row for each element, whatever its strings hold and however it is laid out', async () => {
  const rows = [{ a: '}],{"data":[', b: ['\\', '"\n', { data: [1, 2] }] }, {}, { c: { d: null } }];
  const document = {
    meta: { data: [{ not: 'this' }] },
    other: '"data":[',
    data: rows,
    after: [{ nor: 'this' }],
  };
  for (const indent of [0, 2, '\t']) {
    expect(parsed(await rowsOf(JSON.stringify(document, null, indent)))).toEqual(rows);
  }
  expect(parsed(await rowsOf(JSON.stringify(document, null, 2), 'data', true))).toEqual(rows);
  expect(parsed(await rowsOf(`\ufeff${JSON.stringify(document)}\r\n`, 'after'))).toEqual([{ nor: 'this' }]);
});

it('gives what any document holds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
      fc.jsonValue(),
      async (rows, other) => {
        const text = JSON.stringify({ other, data: rows, more: other }, null, 1);
        expect(parsed(await rowsOf(text))).toEqual(JSON.parse(JSON.stringify(rows)));
      },
    ),
    { numRuns: 200 },
  );
});

it('has none where the key holds no list or is not there', async () => {
  expect(await rowsOf('{"data":{"a":[1]},"datum":[1]}')).toEqual([]);
  expect(await rowsOf('{"data":[]}')).toEqual([]);
});

it('says that a document is cut short', async () => {
  for (const text of ['{"data":[{"a":1},{"b":2}', '{"data":[{"a":"x', '{"data":[{"a":1}]']) {
    await expect(rowsOf(text)).rejects.toThrow('document.json is cut short: its JSON is not closed');
  }
});
