import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Arm } from '../../core/routing/routing';

/** At least as many of the newest ids are known, and at most twice as many. */
const CAPACITY = 50_000;
const WRITE_DELAY_MS = 200;
const MAX_ID_LENGTH = 256;

export interface MakerTableOptions {
  /** Where it is kept over a restart; null when another process keeps it. */
  readonly path: string | null;
  readonly warn: (message: string) => void;
  /** Called with what this process learns, for others to adopt. */
  readonly announce?: (id: string, maker: Arm) => void;
}

/**
 * Which provider made an object, by its id: bounded, the oldest forgotten first, and kept in a file to which
 * lines are only added (`c ID` or `l ID`); a start rewrites it. Losing its last lines costs at most a second
 * try at the other provider. Two maps that only grow: to find the oldest entry of one map, V8 walks over every
 * entry that was removed before it.
 */
export class MakerTable {
  #newer = new Map<string, Arm>();
  #older = new Map<string, Arm>();
  readonly #options: MakerTableOptions;
  #pending = '';
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #lines = 0;

  constructor(options: MakerTableOptions) {
    this.#options = options;
    for (const line of options.path === null ? [] : readLines(options.path)) {
      const id = line.slice(2);
      if (id !== '') this.#put(id, line.startsWith('c ') ? 'candidate' : 'legacy');
    }
  }

  get size(): number {
    return this.#newer.size + this.#older.size;
  }

  find(id: string): Arm | null {
    return this.#newer.get(id) ?? this.#older.get(id) ?? null;
  }

  /** The maker of the first of some ids that is known. */
  findAny(ids: readonly string[]): Arm | null {
    for (const id of ids) {
      const maker = this.find(id);
      if (maker !== null) return maker;
    }
    return null;
  }

  remember(id: string, maker: Arm): void {
    if (id === '' || id.length > MAX_ID_LENGTH || id.includes('\n') || this.find(id) === maker) return;
    this.#put(id, maker);
    this.#options.announce?.(id, maker);
    if (this.#options.path === null) return;
    this.#pending += `${maker === 'candidate' ? 'c' : 'l'} ${id}\n`;
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => void this.flush(), WRITE_DELAY_MS);
    this.#timer.unref();
  }

  /** Takes what another process has learned and keeps. */
  adopt(id: string, maker: Arm): void {
    this.#put(id, maker);
  }

  /** All that is known, older ones first. */
  entries(): [string, Arm][] {
    return [...this.#older, ...this.#newer];
  }

  /** Writes what is not written yet. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const lines = this.#pending;
    this.#pending = '';
    if (lines !== '') this.#writing = this.#writing.then(() => this.#write(lines));
    return this.#writing;
  }

  #put(id: string, maker: Arm): void {
    if (this.#newer.size >= CAPACITY) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#older.delete(id);
    this.#newer.set(id, maker);
  }

  async #write(lines: string): Promise<void> {
    const { path, warn } = this.#options;
    if (path === null) return;
    try {
      if (this.#lines === 0 || this.#lines > 4 * CAPACITY) this.#rewrite(path);
      else await appendFile(path, lines);
      this.#lines += lines.split('\n').length - 1;
    } catch (error) {
      warn(`The table of makers ${path} cannot be kept: ${(error as Error).message}`);
    }
  }

  /** The whole table anew, which drops what was forgotten since. */
  #rewrite(path: string): void {
    mkdirSync(dirname(path), { recursive: true });
    let text = '';
    for (const [id, maker] of this.entries()) text += `${maker === 'candidate' ? 'c' : 'l'} ${id}\n`;
    const temporary = `${path}.tmp`;
    writeFileSync(temporary, text);
    renameSync(temporary, path);
    this.#lines = this.size;
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => /^[cl] \S{1,256}$/.test(line));
  } catch {
    return [];
  }
}
