import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MigrationClient } from '../src/client';
import type { MigrationStatus } from '../src/core/migration/status';
import type { Episode, Step, Strike } from './episode';
import { Stack } from './stack';
import { GATEWAYS, ROUTE } from './stack-layout';

export interface PlayOptions {
  readonly folder: string;
  readonly temporal: string;
  readonly ratePerSecond: number;
  readonly say: (line: string) => void;
}

const STRIKE_WITHIN_MS = 60_000;
const COMPLETE_WITHIN_MS = 40_000;
const CLOSED_WITHIN_MS = 45_000;
const WATCHED_AFTER_MS = 2_500;
const POLL_MS = 400;
const LEASE_MS = 3_000;

/** Plays one episode on a stack of its own; all that the checker reads is in the folder afterwards. */
export async function play(episode: Episode, options: PlayOptions): Promise<void> {
  const { folder, temporal, ratePerSecond, say } = options;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'episode.json'), JSON.stringify({ ...episode, leaseMs: LEASE_MS }, null, 1));
  writeFileSync(join(folder, 'plan.json'), JSON.stringify(planOf(episode), null, 1));
  const stack = await Stack.start({ folder, seed: episode.seed, temporal, ratePerSecond });
  try {
    await new Player(episode, stack, folder, say).run();
  } finally {
    await stack.stop();
  }
}

class Player {
  constructor(
    private readonly episode: Episode,
    private readonly stack: Stack,
    private readonly folder: string,
    private readonly say: (line: string) => void,
  ) {}

  async run(): Promise<void> {
    const { stack, episode } = this;
    await this.#begin();
    await this.#until(
      STRIKE_WITHIN_MS,
      (status) => isAt(status, episode.strike) || status.phase === 'closed',
    );
    stack.note({ what: 'strike', strike: episode.strike });
    this.say(`${episode.strike} reached, ${episode.steps.length} steps`);
    await this.#take(episode.steps);
    await stack.heal();
    this.say(`healed; ${episode.ending}`);
    await this.#end();
    const last = await this.#until(CLOSED_WITHIN_MS, ({ phase }) => phase === 'closed');
    const closed = last?.phase === 'closed';
    stack.note({
      what: 'end',
      closed,
      outcome: last?.outcome ?? null,
      waitsFor: closed ? null : waitsFor(last),
    });
    if (closed && episode.after.length > 0) {
      this.say('closed; what comes after');
      await this.#take(episode.after);
      await stack.heal();
    }
    await sleep(WATCHED_AFTER_MS);
    await this.#export();
  }

  async #begin(): Promise<void> {
    const begun = await this.stack.operators.cutover('ana', [
      'start',
      ROUTE,
      '--plan',
      'plan.json',
      '--yes',
      '--json',
      '--reason',
      'chaos',
    ]);
    if (begun.code !== 0) throw new Error(`expected the migration to start, got ${begun.stderr}`);
  }

  /** Does what the steps say at their times; commands and starts are not waited for before the next step. */
  async #take(steps: readonly Step[]): Promise<void> {
    let startMs = performance.now();
    const underWay: Promise<unknown>[] = [];
    for (const step of steps) {
      await sleep(Math.max(0, startMs + step.atMs - performance.now()));
      const doing = this.#do(step);
      // A process that is killed is gone before the next step; everything else takes its time.
      if (step.do === 'signal') await doing;
      else underWay.push(doing);
      if (step.do !== 'operator' || step.waitMs === undefined) continue;
      const askedMs = performance.now();
      await Promise.race([doing, sleep(step.waitMs, undefined, { ref: false })]);
      startMs += performance.now() - askedMs;
    }
    await Promise.all(underWay);
  }

  async #do(step: Step): Promise<unknown> {
    const { stack } = this;
    switch (step.do) {
      case 'signal':
        return stack.signal(step.process, step.signal);
      case 'start':
        return stack.start(step.process, step.start);
      case 'way':
        return stack.set(step.way, step.mode);
      case 'disk':
        return stack.fill(step.gateway, step.isFull);
      case 'state':
        return stack.state(step.gateway, step.what);
      case 'provider':
        return stack.behave(step.provider, step.behaviour);
      case 'operator':
        return stack.operators.cutover(step.by, step.args);
      case 'avoid':
        return stack.callers.avoid(step.gateway, step.isAvoided);
      case 'temporal': {
        const id = ['--workflow-id', `cutover/${ROUTE}`];
        const more = step.what === 'reset' ? ['--type', 'LastWorkflowTask'] : [];
        const reason = step.what === 'cancel' ? [] : ['--reason', 'chaos'];
        return stack.operators.temporal(['workflow', step.what, ...id, ...more, ...reason]);
      }
    }
  }

  /** What operators do once everything is well again: roll back, or lead the migration to its end. */
  async #end(): Promise<void> {
    const { stack, episode } = this;
    const status = await this.#until(10_000, () => true);
    if (status?.phase === 'closed') {
      if (status.endedByTemporal === undefined) return;
      // Nobody watches the gateways of a run that was terminated: a new one takes the candidate off first.
      await this.#begin();
    }
    if (episode.ending === 'complete' && (await this.#complete())) return;
    const command = episode.ending === 'emergency-rollback' ? 'emergency-rollback' : 'rollback';
    await stack.operators.cutover('ana', [command, ROUTE, '--json', '--reason', 'chaos']);
  }

  /** Resumes what is paused and settles the gateways in handover; true once the migration is closed. */
  async #complete(): Promise<boolean> {
    const deadlineMs = performance.now() + COMPLETE_WITHIN_MS;
    let isSettled = false;
    while (performance.now() < deadlineMs) {
      const status = await this.#until(10_000, () => true);
      if (status === null) continue;
      if (status.phase === 'closed') return true;
      if (status.drift !== null || status.paused !== null) await this.#resume(status);
      else if (status.phase === 'handover' && !isSettled) {
        isSettled = true;
        await this.#settle();
      }
      await sleep(POLL_MS);
    }
    this.say('did not complete in time');
    this.stack.note({ what: 'did not complete', waitsFor: waitsFor(await this.#until(5_000, () => true)) });
    return false;
  }

  async #resume(status: MigrationStatus): Promise<void> {
    await this.stack.operators.cutover('ana', ['kill', ROUTE, '--clear', '--json']);
    const reapply = status.drift === null ? [] : ['--reapply', '--yes'];
    await this.stack.operators.cutover('ana', ['resume', ROUTE, ...reapply]);
  }

  async #settle(): Promise<void> {
    const { stack } = this;
    for (const gateway of GATEWAYS) {
      stack.callers.avoid(gateway, true);
      await sleep(300);
      await stack.signal(gateway, 'SIGTERM');
      await stack.start(gateway, { settled: 'candidate' });
      stack.callers.avoid(gateway, false);
    }
  }

  /** The first status that fits, or the last one that was read in the time; null when nobody answered. */
  async #until(
    withinMs: number,
    fits: (status: MigrationStatus) => boolean,
  ): Promise<MigrationStatus | null> {
    const deadlineMs = performance.now() + withinMs;
    let last: MigrationStatus | null = null;
    while (performance.now() < deadlineMs) {
      try {
        const client = await MigrationClient.connect({ address: this.stack.temporalAddress });
        try {
          for (;;) {
            last = await client.status(ROUTE, { workerWaitMs: 3_000 });
            if (fits(last) || performance.now() > deadlineMs) return last;
            await sleep(POLL_MS);
          }
        } finally {
          await client.close();
        }
      } catch {
        await sleep(POLL_MS);
      }
    }
    return last;
  }

  async #export(): Promise<void> {
    const { stack, folder } = this;
    mkdirSync(join(folder, 'exports'), { recursive: true });
    const client = await MigrationClient.connect({ address: stack.temporalAddress });
    const migrations = await client.history(ROUTE).finally(() => client.close());
    for (const id of new Set(migrations.map(({ migrationId }) => migrationId))) {
      const out = join(folder, 'exports', `${id}.jsonl`);
      await stack.operators.cutover('checker', ['export', ROUTE, '--run', id, '--out', out]);
    }
  }
}

function isAt({ phase, stage }: MigrationStatus, strike: Strike): boolean {
  return strike === 'handover' ? phase === 'handover' : phase === 'observing' && stage === strike;
}

/** What an open migration says that it waits for; null when it says nothing. */
function waitsFor(status: MigrationStatus | null): string | null {
  if (status === null) return null;
  const missing = status.pending?.missing.join(', ') ?? '';
  return missing === '' ? status.doing : `${status.doing} (missing: ${missing})`;
}

/** A plan in seconds. The stage at which the faults begin is not left by itself, unless the plan is to be completed. */
function planOf({ strike, ending }: Episode): object {
  const wide = {
    errors: { rollbackRatio: 50, promotionExcess: 0.5 },
    latency: { rollbackIncrease: 100, promotionIncrease: null },
    interToken: { rollbackIncrease: 100 },
    floor: { success: 0.5 },
    probes: { rollbackStreak: 100, promotionStreak: 1 },
  };
  const stage = (name: string, share?: number) => ({
    name,
    ...(share === undefined ? {} : { share }),
    soak: name === strike && ending !== 'complete' ? '10m' : '1s',
    window: '1s',
    minimumSample: 3,
    minimumKeys: 0,
    burnIn: { time: '0s', requests: 0 },
    deadline: { hold: '20m' },
    gates: wide,
  });
  return {
    route: ROUTE,
    lease: `${LEASE_MS}ms`,
    renewal: '500ms',
    watchHeartbeat: '3s',
    probes: { interval: '500ms', timeout: '3s' },
    stages: [
      { name: 'assess', minimumSample: 2, window: '1s', deadline: { hold: '20m' } },
      stage('canary', 0.3),
      stage('rolling', 0.6),
      stage('complete'),
    ],
  };
}
