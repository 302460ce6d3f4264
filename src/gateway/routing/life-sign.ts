import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MINUTE_MS } from '../../core/text/duration';
import { BELIEVED_MS, type Restart } from './restart-trust';

const SIGN_EVERY_MS = 30_000;
/** Clocks of hosts differ a little. */
const AHEAD_MS = MINUTE_MS;

/** `born`: when the system created the file, in nanoseconds; absent where it is not known, and from older releases. */
const signSchema = z.object({ atMs: z.number(), stopped: z.boolean(), born: z.string().optional() });

/**
 * The file `gateway.alive`: when a process last lived in a state directory, by the wall clock, and whether it stopped in
 * order. A restored copy brings back what it says with everything else, but not the time at which the system created the
 * file: that nobody can set. Where the system knows no such time, a copy is believed for a while.
 */
export class LifeSign {
  readonly restart: Restart;
  readonly #path: string;
  readonly #wallNow: () => number;
  #timer: NodeJS.Timeout | null = null;

  /** Reads the sign of the process before, and replaces it. */
  constructor(stateDirectory: string, wallNow: () => number, warn: (message: string) => void) {
    this.#path = join(stateDirectory, 'gateway.alive');
    this.#wallNow = wallNow;
    const before = this.#read();
    try {
      mkdirSync(stateDirectory, { recursive: true });
      this.#write(false);
      // The first write creates the file; the next one knows when that was.
      this.#write(false);
      this.restart = before;
    } catch (error) {
      warn(`The state directory ${stateDirectory} cannot be written: ${(error as Error).message}`);
      this.restart = 'old';
    }
    this.#timer = setInterval(() => this.#tryToWrite(false), SIGN_EVERY_MS);
    this.#timer.unref();
  }

  /** The last sign of this process; `inOrder` when all that it confirmed is on the disk. */
  stop(inOrder: boolean): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    if (inOrder) this.#tryToWrite(true);
  }

  #read(): Restart {
    let text: string;
    let bornNow: bigint;
    try {
      text = readFileSync(this.#path, 'utf8');
      bornNow = statSync(this.#path, { bigint: true }).birthtimeNs;
    } catch (error) {
      // A first start, or a directory of a release that left no signs.
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'recent' : 'old';
    }
    let sign: z.infer<typeof signSchema>;
    try {
      sign = signSchema.parse(JSON.parse(text));
    } catch {
      return 'old';
    }
    if (sign.born !== undefined && sign.born !== String(bornNow)) return 'old';
    const ageMs = this.#wallNow() - sign.atMs;
    if (ageMs > BELIEVED_MS || ageMs < -AHEAD_MS) return 'old';
    return sign.stopped ? 'stopped' : 'recent';
  }

  #tryToWrite(stopped: boolean): void {
    try {
      this.#write(stopped);
    } catch {
      // Then the sign grows old: the next start believes less.
    }
  }

  /** In place: it must not need room on a full disk. A torn write is no sign at all. */
  #write(stopped: boolean): void {
    const file = openSync(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const sign = { atMs: this.#wallNow(), stopped, ...bornOf(file) };
      writeSync(file, `${JSON.stringify(sign).padEnd(127)}\n`, 0);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}

/** Nothing where the time of creation is unknown, or given as the one of the last change, which moves with each write. */
function bornOf(file: number): { born?: string } {
  const { birthtimeNs, ctimeNs } = fstatSync(file, { bigint: true });
  return birthtimeNs > 0n && birthtimeNs < ctimeNs ? { born: String(birthtimeNs) } : {};
}
