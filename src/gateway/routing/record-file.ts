import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { KillLatch, RoutingRecord } from '../../core/routing/routing';
import { epochSchema, killLatchSchema, routingRecordSchema } from './record-schema';

/** What a gateway keeps of a route over a restart. A lease is never part of it. */
export interface StoredState {
  readonly highestEpoch: number;
  readonly record: RoutingRecord | null;
  readonly kill: KillLatch | null;
  /** A kill withdrew the record: it is served no more, even after the latch was cleared. */
  readonly withdrawn: boolean;
}

/** What a start found: nothing yet, a sound state, or a file that must not be believed. */
export type LoadedState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'sound'; readonly state: StoredState }
  | { readonly kind: 'damaged'; readonly message: string };

const storedStateSchema = z.strictObject({
  highestEpoch: epochSchema,
  record: routingRecordSchema.nullable(),
  kill: killLatchSchema.nullable(),
  withdrawn: z.boolean(),
});

/** A full disk takes a smaller file where the end of a block is free. */
const PROBE_BYTES = 8_192;

const MAGIC = 'cutover-record-1';

/**
 * One route's file: a line with the SHA-256 of what follows, then JSON. A write replaces the whole file
 * (temporary file, fsync, rename, fsync of the directory); writes never overlap and the newest state wins.
 */
export class RecordFile {
  readonly #path: string;
  #running: Promise<void> = Promise.resolve();
  #queued: { state: StoredState; done: Promise<void> } | null = null;
  #keepDamaged = false;

  constructor(path: string) {
    this.#path = path;
  }

  load(): LoadedState {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      return code === 'ENOENT' ? { kind: 'absent' } : this.#damaged(`cannot be read (${code ?? error})`);
    }
    return this.#parse(text);
  }

  /** Resolves once this state, or a newer one, is on the disk; rejects with the system's error. */
  save(state: StoredState): Promise<void> {
    if (this.#queued !== null) {
      this.#queued.state = state;
      return this.#queued.done;
    }
    const done = this.#running
      .catch(() => undefined)
      .then(() => {
        const newest = this.#queued?.state ?? state;
        this.#queued = null;
        this.#running = this.#write(newest);
        return this.#running;
      });
    this.#queued = { state, done };
    return done;
  }

  /** Writes a file beside the record as large as one can be, and removes it. */
  probe(): Promise<void> {
    return probeDisk(`${this.#path}.probe`);
  }

  #parse(text: string): LoadedState {
    const lineEnd = text.indexOf('\n');
    const body = text.slice(lineEnd + 1);
    if (lineEnd < 0 || text.slice(0, lineEnd) !== `${MAGIC} ${sha256(body)}`) {
      return this.#damaged('its checksum does not match its content');
    }
    let content: unknown;
    try {
      content = JSON.parse(body);
    } catch {
      return this.#damaged('its content is not JSON');
    }
    const parsed = storedStateSchema.safeParse(content);
    return parsed.success
      ? { kind: 'sound', state: parsed.data as StoredState }
      : this.#damaged("its content is not in this version's format");
  }

  #damaged(reason: string): LoadedState {
    this.#keepDamaged = true;
    return {
      kind: 'damaged',
      message: `The routing record ${this.#path} is refused: ${reason}. It counts as no record.`,
    };
  }

  async #write(state: StoredState): Promise<void> {
    const directory = dirname(this.#path);
    const temporary = `${this.#path}.tmp`;
    const body = `${JSON.stringify(state)}\n`;
    await mkdir(directory, { recursive: true });
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(`${MAGIC} ${sha256(body)}\n${body}`);
      await file.sync();
    } finally {
      await file.close();
    }
    if (this.#keepDamaged) {
      await rename(this.#path, `${this.#path}.damaged`).catch(() => undefined);
      this.#keepDamaged = false;
    }
    await rename(temporary, this.#path);
    const folder = await open(directory, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Writes this file as large as a record can be, and removes it; rejects with the system's error where that fails. */
export async function probeDisk(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(Buffer.alloc(PROBE_BYTES));
    await file.sync();
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
