import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
} from 'node:fs';
import { join } from 'node:path';
import { lock } from 'proper-lockfile';
import type { Reply } from '../core/assessment/question';
import { InvalidDocument } from '../core/configuration/schema-parts';
import type { Arm } from '../core/routing/routing';
import { fileProblem } from '../core/text/file-problem';
import { parsedJson } from '../core/text/json-object';

/** One call that need not be made again. */
export interface RecordedCall {
  /** What was asked of whom, as a digest. */
  readonly key: string;
  /** For a person who reads the file. */
  readonly id: string;
  /** Who was asked; files of earlier releases call it so. */
  readonly side: Arm;
  /** 1, or 2 for legacy's second answer. */
  readonly draw: number;
  readonly reply: Reply;
  readonly costUsd: number;
  readonly at: string;
}

/** The answers of a route's parity runs, one a line, on this machine only. */
export interface AnswerJournal {
  readonly file: string;
  /** Whether all that was asked for had been answered and judged when it was opened. */
  readonly isFinished: boolean;
  /** Notes that all is answered and judged. */
  finish(now: Date): void;
  find(key: string): RecordedCall | null;
  /** On disk when it returns, but for a failure of the machine itself. */
  append(call: RecordedCall): void;
  close(): Promise<void>;
}

/** Thrown when another run writes the same file. */
export class AnswersTaken extends Error {
  override readonly name = 'AnswersTaken';
  constructor(readonly file: string) {
    super(
      `expected ${file} for this parity run alone, but another run writes it; wait, or give another --state`,
    );
  }
}

/** A lock that was not refreshed for so long is that of a run that was killed. */
const STALE_MS = 5_000;
const RETRY_MS = 250;

/** Where the answers of a route are kept. */
export function answersFile(directory: string, route: string): string {
  return join(directory, `${route}.jsonl`);
}

/**
 * Opens the answers of a route, for the owner's eyes only. Throws `AnswersTaken` while another run writes them, and
 * `InvalidDocument` for a directory that cannot be written.
 */
export async function openAnswerJournal(directory: string, route: string): Promise<AnswerJournal> {
  const file = answersFile(directory, route);
  makeDirectory(directory);
  const release = await taken(directory, file);
  const calls = new Map<string, RecordedCall>();
  let isFinished = false;
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  for (const line of text.split('\n')) {
    const entry = parsedJson(line);
    if (isCall(entry)) calls.set(entry.key, entry);
    if (entry !== undefined) isFinished = !isCall(entry);
  }
  // What a crash tore must not swallow the line that comes next.
  if (text !== '' && !text.endsWith('\n')) appendFileSync(file, '\n');
  return {
    file,
    isFinished,
    finish: (now) =>
      appendFileSync(file, `${JSON.stringify({ finished: now.toISOString() })}\n`, { mode: 0o600 }),
    find: (key) => calls.get(key) ?? null,
    append(call) {
      appendFileSync(file, `${JSON.stringify(call)}\n`, { mode: 0o600 });
      calls.set(call.key, call);
    },
    close: () => release().catch(() => undefined),
  };
}

/** Puts the answers of a route aside, so that all is asked anew; null when there are none. */
export function setAnswersAside(directory: string, route: string, now: Date): string | null {
  const file = answersFile(directory, route);
  if (!existsSync(file)) return null;
  const aside = `${file}.${now.toISOString().replaceAll(':', '-')}`;
  renameSync(file, aside);
  return aside;
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK);
  } catch (error) {
    throw new InvalidDocument(directory, [
      { path: '(directory)', message: `cannot be written: ${fileProblem(error)}` },
    ]);
  }
}

async function taken(directory: string, file: string): Promise<() => Promise<void>> {
  try {
    return await lock(directory, {
      lockfilePath: `${file}.lock`,
      stale: STALE_MS,
      update: STALE_MS / 5,
      retries: { retries: (STALE_MS * 2) / RETRY_MS, factor: 1, minTimeout: RETRY_MS, maxTimeout: RETRY_MS },
      // A process that was stopped for longer: what it paid for is in the file all the same.
      onCompromised: () => undefined,
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') throw new AnswersTaken(file);
    throw error;
  }
}

function isCall(value: unknown): value is RecordedCall {
  if (typeof value !== 'object' || value === null) return false;
  const { key, reply, costUsd } = value as Partial<RecordedCall>;
  return (
    typeof key === 'string' && typeof reply === 'object' && reply !== null && typeof costUsd === 'number'
  );
}
