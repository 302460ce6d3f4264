import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AnswersTaken,
  answersFile,
  openAnswerJournal,
  type RecordedCall,
  setAnswersAside,
} from '../../src/parity/answer-journal';

const directory = mkdtempSync(join(tmpdir(), 'cutover-journal-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function call(key: string): RecordedCall {
  const reply = { ok: false, failure: 'status_4xx', error: 'status_4xx', status: 400, latencyMs: 1 } as const;
  return { key, id: 'one', side: 'legacy', draw: 1, reply, costUsd: 0, at: '2031-03-04T00:00:00Z' };
}

it('finds what it wrote, after a line that a crash tore as well', async () => {
  const first = await openAnswerJournal(directory, 'torn');
  first.append(call('a'));
  await first.close();
  appendFileSync(first.file, '{"key":"b","reply"');
  const second = await openAnswerJournal(directory, 'torn');
  expect([second.find('a')?.id, second.find('b')]).toEqual(['one', null]);
  second.append(call('c'));
  await second.close();
  const third = await openAnswerJournal(directory, 'torn');
  expect([third.find('a')?.id, third.find('c')?.id]).toEqual(['one', 'one']);
  await third.close();
});

it('knows whether a run came to its end', async () => {
  const first = await openAnswerJournal(directory, 'ended');
  first.append(call('a'));
  first.finish(new Date(0));
  await first.close();
  const second = await openAnswerJournal(directory, 'ended');
  expect([second.isFinished, second.find('a')?.id]).toEqual([true, 'one']);
  second.append(call('b'));
  await second.close();
  const third = await openAnswerJournal(directory, 'ended');
  expect(third.isFinished).toBe(false);
  await third.close();
});

it('is readable by its owner alone', async () => {
  const journal = await openAnswerJournal(directory, 'mode');
  journal.append(call('a'));
  await journal.close();
  expect(statSync(journal.file).mode & 0o077).toBe(0);
});

it('is put aside whole', async () => {
  const journal = await openAnswerJournal(directory, 'aside');
  journal.append(call('a'));
  await journal.close();
  expect(setAnswersAside(directory, 'aside', new Date(0))).toBe(
    `${answersFile(directory, 'aside')}.1970-01-01T00-00-00.000Z`,
  );
  const fresh = await openAnswerJournal(directory, 'aside');
  expect(fresh.find('a')).toBeNull();
  await fresh.close();
  expect(setAnswersAside(directory, 'nothing', new Date(0))).toBeNull();
});

it('belongs to one run at a time', async () => {
  const journal = await openAnswerJournal(directory, 'taken');
  await expect(openAnswerJournal(directory, 'taken')).rejects.toThrow(AnswersTaken);
  await journal.close();
}, 30_000);
