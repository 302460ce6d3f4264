import fc from 'fast-check';
import { PLANTED } from './planted-faults';
import { runOrder } from './run-order';
import { anyOrder, type Order, orderText } from './world-steps';

const IN_CI = { runs: 400, seed: 13 };

const runs = numberOf('CUTOVER_MODEL_RUNS') ?? IN_CI.runs;
/** Whoever asks for other runs gets other orders each time. */
const seed =
  numberOf('CUTOVER_MODEL_SEED') ?? (runs === IN_CI.runs ? IN_CI.seed : Date.now() % 1_000_000_000);
/** Where in the orders of a seed a failing one lies, shrunken. */
const path = process.env['CUTOVER_MODEL_PATH'];

function numberOf(name: string): number | null {
  const text = process.env[name];
  if (text === undefined || text === '') return null;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`expected ${name} to be a whole number below a billion, got "${text}"`);
}

/** What the orders must come to for the laws to mean anything. */
const REACHED = [
  ...['completed', 'rolled back', 'handover', 'override', 'paused', 'harm', 'held', 'drift', 'drift cleared'],
  ...[
    'lapse',
    'forgotten share',
    'superseded',
    'failed',
    'lapsed',
    'missing',
    'roster',
    'forgotten',
    'after a restart',
    'step of a ramp',
    'cohort',
  ],
];

class Reached {
  readonly #times = new Map<string, number>();
  windows = 0;
  requests = 0;
  dispatches = 0;
  virtualMs = 0;

  async run(order: Order): Promise<void> {
    const { world, virtualMs } = await runOrder(order);
    const { outcome, checkpoints, plan } = world.state;
    const named = checkpoints.flatMap((entry) => {
      if (entry.kind === 'recorded') return [entry.what];
      if (entry.kind === 'intended') return [];
      const { kind, stage, share, lapsed, missing } = entry;
      const reached = plan.stages.find(({ name }) => name === stage);
      const isStep = reached?.ramp !== undefined && share < reached.share;
      return [
        ...[kind, lapsed.length > 0 ? 'lapsed' : '', missing.length > 0 ? 'missing' : ''],
        ...(kind !== 'took effect'
          ? []
          : [isStep ? 'step of a ramp' : '', reached?.only === undefined ? '' : 'cohort']),
      ];
    });
    const restarted = world.ledger.restarts > 0 ? ['after a restart'] : [];
    for (const what of new Set([`${outcome}`, ...named, ...restarted])) {
      this.#times.set(what, (this.#times.get(what) ?? 0) + 1);
    }
    this.windows += world.ledger.windows;
    this.requests += world.ledger.requests;
    this.dispatches += world.truth.dispatches;
    this.virtualMs += virtualMs;
  }

  times(what: string): number {
    return this.#times.get(what) ?? 0;
  }

  get text(): string {
    const times = REACHED.map((what) => `${what} ${this.times(what)}`).join(', ');
    const hours = (this.virtualMs / 3_600_000).toFixed(1);
    return `${runs} orders, seed ${seed}: ${hours} hours, ${this.windows} windows with ${this.requests} requests compared, ${this.dispatches} requests to the candidate judged; ${times}`;
  }
}

describe('with the real activities, over gateways, workers and a Temporal that fail', () => {
  it(
    'no law is broken, nothing is counted twice, and operators always bring it to its end',
    async () => {
      const reached = new Reached();
      const found = await fc.check(
        fc.asyncProperty(anyOrder, (order) => reached.run(order)),
        { numRuns: runs, seed, ...(path === undefined ? {} : { path, endOnFailure: true }) },
      );
      if (found.failed) {
        const [order] = found.counterexample ?? [];
        const { message } = found.errorInstance as Error;
        const again = `CUTOVER_MODEL_SEED=${found.seed} CUTOVER_MODEL_PATH=${found.counterexamplePath} npm run test:model`;
        throw new Error(`${message}\n${order === undefined ? '' : orderText(order)}\nagain: ${again}`);
      }
      if (process.env['CUTOVER_MODEL_RUNS'] !== undefined) process.stdout.write(`${reached.text}\n`);
      if (path !== undefined || runs < IN_CI.runs) return;
      expect(REACHED.filter((what) => reached.times(what) === 0)).toEqual([]);
      expect(reached.requests).toBeGreaterThan(runs * 50);
      expect(reached.dispatches).toBeGreaterThan(runs * 50);
    },
    // Long enough for a machine that is busy with other things.
    60_000 + runs * 500,
  );
});

describe('the laws catch a program in which', () => {
  it.each(Object.entries(PLANTED))('%s', async (_name, { fault, order, law }) => {
    await runOrder(order);
    const broken = await runOrder(order, fault).then(
      () => 'no law',
      ({ message }: Error) => message,
    );
    expect(broken).toMatch(law);
  });
});
