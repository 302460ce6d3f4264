import { BadInput } from '../../../core/configuration/bad-input';

/** Text that unpacks to more than this many times its size is no log: real ones reach 20 to 60. */
const RATIO = 250;
/** Up to here the ratio means nothing: a small file of blank lines is harmless. */
const GRACE_BYTES = 67_108_864;
/** Of one file, whatever its ratio. */
const STREAMED_BYTES = 274_877_906_944;
/** Of one file whose rows are taken apart in memory, at several times this size. */
const HELD_BYTES = 67_108_864;

const GIB = 1_073_741_824;
const MIB = 1_048_576;

/**
 * Counts what a file unpacks to and throws `BadInput`, which names the file and the limit, as soon as one is
 * passed: unpacking must be streamed for that to save anything. `held` is for what is kept in memory.
 */
export class UnpackingLimit {
  #unpacked = 0;

  constructor(
    private readonly file: string,
    private readonly use: 'streamed' | 'held',
  ) {}

  /** Bytes that came out so far. */
  get unpackedBytes(): number {
    return this.#unpacked;
  }

  /** Counts bytes that came out, of a file of which `packedBytes` were read so far. */
  count(bytes: number, packedBytes: number): void {
    this.#unpacked += bytes;
    const most = this.use === 'held' ? HELD_BYTES : STREAMED_BYTES;
    if (this.#unpacked > most) {
      const limit = most >= GIB ? `${most / GIB} GiB` : `${most / MIB} MiB`;
      throw new BadInput(`${this.file} unpacks to over ${limit}, the most that is read of such a file`);
    }
    const grace = this.use === 'held' ? MIB : GRACE_BYTES;
    if (this.#unpacked > grace && this.#unpacked > RATIO * packedBytes) {
      throw new BadInput(
        `${this.file} unpacks to over ${RATIO} times its size: it is not a log, and is refused`,
      );
    }
  }
}
