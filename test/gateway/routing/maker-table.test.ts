import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MakerTable } from '../../../src/gateway/routing/maker-table';

let folder: string;
const path = () => join(folder, 'makers');
const warn = (message: string) => {
  throw new Error(message);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cutover-makers-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('knows the newest ids, forgets the oldest, and finds them again after a start', async () => {
  const table = new MakerTable({ path: path(), warn });
  for (let index = 0; index < 120_000; index += 1) {
    table.remember(`id-${index}`, index % 2 === 0 ? 'legacy' : 'candidate');
  }
  expect(table.size).toBeLessThanOrEqual(100_000);
  expect(table.find('id-0')).toBeNull();
  expect(table.find('id-119999')).toBe('candidate');
  expect(table.find('id-70000')).toBe('legacy');
  await table.flush();
  const restarted = new MakerTable({ path: path(), warn });
  expect(restarted.size).toBe(table.size);
  expect(restarted.find('id-70000')).toBe('legacy');
  expect(restarted.find('id-119999')).toBe('candidate');
});

it('keeps the newest word about an id', () => {
  const table = new MakerTable({ path: path(), warn });
  table.remember('id', 'legacy');
  for (let index = 0; index < 60_000; index += 1) table.remember(`other-${index}`, 'legacy');
  table.remember('id', 'candidate');
  expect(table.find('id')).toBe('candidate');
  expect(table.size).toBe(60_001);
});
