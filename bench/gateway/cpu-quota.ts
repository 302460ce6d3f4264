import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Started, startPinned } from './pinned-process';

const CONTROLLER = '/sys/fs/cgroup/cpu';
const PERIOD_US = 100_000;
/** A process at rest in no group weighs 1,024. */
const SHARES = 65_536;

/** A group of processes that together get no more than a part of a core (cgroup v1, as root). */
export class CpuQuota {
  readonly #folder: string;
  #started: Started | null = null;

  /** `cores` is a part of one core, or more than one. */
  constructor(name: string, cores: number) {
    this.#folder = join(CONTROLLER, `cutover-bench-${name}-${process.pid}`);
    if (!existsSync(join(CONTROLLER, 'cpu.cfs_quota_us'))) {
      throw new Error(`expected the cpu controller of cgroup v1 at ${CONTROLLER}, to be written to as root`);
    }
    mkdirSync(this.#folder);
    writeFileSync(join(this.#folder, 'cpu.cfs_period_us'), `${PERIOD_US}`);
    writeFileSync(join(this.#folder, 'cpu.cfs_quota_us'), `${Math.round(cores * PERIOD_US)}`);
    // Else the whole group weighs as much as one other process of the machine.
    writeFileSync(join(this.#folder, 'cpu.shares'), `${SHARES}`);
  }

  /** Starts a program in the group, on any of these cores; its process id is the program's. */
  start(
    cores: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Started {
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    this.#started = startPinned(cores, 'sh', ['-c', enter, this.#folder, command, ...args], env);
    return this.#started;
  }

  /** Takes this process into the group, and all that it starts from now on in no other one. */
  join(): void {
    writeFileSync(join(this.#folder, 'cgroup.procs'), `${process.pid}`);
  }

  /** Leaves it again. */
  leave(): void {
    writeFileSync(join(CONTROLLER, 'cgroup.procs'), `${process.pid}`);
  }

  /** Stops what was started, and waits until all of its processes have ended. */
  async stop(): Promise<void> {
    await this.#started?.stop();
    while (readFileSync(join(this.#folder, 'cgroup.procs'), 'utf8') !== '') await sleep(20);
    rmdirSync(this.#folder);
  }
}
