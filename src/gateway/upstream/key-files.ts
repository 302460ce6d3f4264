import { readFile } from 'node:fs/promises';
import { fileProblem } from '../../core/text/file-problem';

const LOOK_EVERY_MS = 1_000;
const FILE = 'file:';
/** What a header can carry: printable ASCII without spaces at its ends. */
const USABLE = /^[!-~](?:[ -~]*[!-~])?$/;

export interface KeyFilesOptions {
  /** References of all keys in use; only `file:/path` is followed. */
  readonly references: Iterable<string>;
  /** Told of each key that a file holds anew. */
  readonly use: (reference: string, key: string) => void;
  readonly warn: (message: string) => void;
}

interface FollowedFile {
  readonly reference: string;
  /** Null before the first look. */
  key: string | null;
  /** Looks in a row that found no key. */
  failures: number;
}

/**
 * Reads the files of keys again once a second, never on the path of a request. A key that cannot be used is reported
 * at the second look, because a file may be seen while it is written; the last good one stays in use.
 */
export class KeyFiles {
  readonly #options: KeyFilesOptions;
  readonly #files: readonly FollowedFile[];
  readonly #timer: NodeJS.Timeout | null;
  #looking = false;

  constructor(options: KeyFilesOptions) {
    this.#options = options;
    this.#files = [...new Set(options.references)]
      .filter((reference) => reference.startsWith(FILE))
      .map((reference) => ({ reference, key: null, failures: 0 }));
    this.#timer = this.#files.length === 0 ? null : setInterval(() => void this.#look(), LOOK_EVERY_MS);
    this.#timer?.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // A disk that hangs is asked once.
    if (this.#looking) return;
    this.#looking = true;
    await Promise.all(this.#files.map((file) => this.#read(file)));
    this.#looking = false;
  }

  async #read(file: FollowedFile): Promise<void> {
    const { reference } = file;
    let problem: string;
    try {
      const key = (await readFile(reference.slice(FILE.length), 'utf8')).trim();
      if (USABLE.test(key)) {
        file.failures = 0;
        if (key === file.key) return;
        file.key = key;
        this.#options.use(reference, key);
        return;
      }
      problem = key === '' ? 'the file is empty' : 'the file holds characters that no header can carry';
    } catch (error) {
      problem = `the file cannot be read: ${fileProblem(error)}`;
    }
    file.failures += 1;
    if (file.failures === 2) {
      this.#options.warn(`expected a key at ${reference}, but ${problem}; the last good one stays in use`);
    }
  }
}
