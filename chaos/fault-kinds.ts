import type { Deed, Ending, Step, Strike } from './episode';
import type { ProviderFault } from './provider-behaviour';
import type { Random } from './random';
import { GATEWAYS, type GatewayName, ROUTE, type WayName, WORKERS, type WorkerName } from './stack-layout';

/** What a kind of fault comes to for one seed. */
export interface Drawn {
  readonly strike?: Strike;
  readonly steps: readonly Step[];
  readonly ending?: Ending;
  readonly after?: readonly Step[];
}

type Draw = (random: Random) => Drawn;

/** The longest that a restart waits for a rollback. */
const ANSWER_MS = 20_000;

const at = (atMs: number, deed: Deed): Step => ({ atMs, ...deed });
const kill = (process: WorkerName | GatewayName | 'temporal'): Deed => ({
  do: 'signal',
  process,
  signal: 'SIGKILL',
});
const freeze = (process: WorkerName | GatewayName | 'temporal'): Deed => ({
  do: 'signal',
  process,
  signal: 'SIGSTOP',
});
const thaw = (process: WorkerName | GatewayName | 'temporal'): Deed => ({
  do: 'signal',
  process,
  signal: 'SIGCONT',
});
const ask = (by: string, ...args: string[]): Deed => ({ do: 'operator', by, args });

/** One of both, or both. */
function some<T>(random: Random, both: readonly T[]): readonly T[] {
  return random.chance(0.35) ? both : [random.pick(both)];
}

/** A way that is broken in one of several manners, and whole again afterwards. */
function broken(random: Random, way: WayName, fromMs: number): readonly Step[] {
  const untilMs = fromMs + random.whole(1_500, 8_000);
  const open = at(untilMs, { do: 'way', way, mode: { mode: 'open' } });
  switch (random.pick(['cut', 'hold', 'delay', 'flap'] as const)) {
    case 'cut':
      return [at(fromMs, { do: 'way', way, mode: { mode: 'cut' } }), open];
    case 'hold':
      return [at(fromMs, { do: 'way', way, mode: { mode: 'hold' } }), open];
    case 'delay': {
      const delayMs = random.whole(50, 900);
      return [at(fromMs, { do: 'way', way, mode: { mode: 'delay', delayMs } }), open];
    }
    case 'flap': {
      const turns = Math.floor((untilMs - fromMs) / 350);
      const steps = Array.from({ length: turns }, (_, turn) =>
        at(fromMs + turn * 350, { do: 'way', way, mode: { mode: turn % 2 === 0 ? 'cut' : 'open' } }),
      );
      return [...steps, open];
    }
  }
}

/** An operator who does not wait until the fault is over. */
function perhapsRollback(random: Random, withinMs: number): readonly Step[] {
  if (random.chance(0.4)) return [];
  const command = random.pick(['rollback', 'emergency-rollback']);
  return [at(random.whole(100, withinMs), ask('ana', command, ROUTE, '--json', '--reason', 'chaos'))];
}

function restart(random: Random, name: GatewayName, fromMs: number): readonly Step[] {
  return [at(fromMs, kill(name)), at(fromMs + random.whole(100, 3_000), { do: 'start', process: name })];
}

/** Every kind of fault by its name. Numbers are drawn in a fixed order: a change here changes what seeds mean. */
export const FAULT_KINDS: Readonly<Record<string, Draw>> = {
  'worker killed': (random) => ({
    steps: [
      ...some(random, WORKERS).flatMap((name) => {
        const fromMs = random.whole(0, 1_500);
        return [
          at(fromMs, kill(name)),
          at(fromMs + random.whole(300, 6_000), { do: 'start', process: name }),
        ];
      }),
      ...perhapsRollback(random, 3_000),
    ],
  }),
  'worker frozen': (random) => ({
    steps: [
      ...some(random, WORKERS).flatMap((name) => {
        const fromMs = random.whole(0, 1_500);
        return [at(fromMs, freeze(name)), at(fromMs + random.whole(1_000, 9_000), thaw(name))];
      }),
      ...perhapsRollback(random, 4_000),
    ],
  }),
  'worker cut from Temporal': (random) => ({
    steps: [
      ...some(random, WORKERS).flatMap((name) => broken(random, `temporal:${name}`, random.whole(0, 1_500))),
      ...perhapsRollback(random, 4_000),
    ],
  }),
  'gateway killed': (random) => ({
    steps: [
      ...some(random, GATEWAYS).flatMap((name) => restart(random, name, random.whole(0, 2_000))),
      ...perhapsRollback(random, 4_000),
    ],
    after: random.chance(0.5) ? restart(random, random.pick(GATEWAYS), 0) : [],
  }),
  'gateway frozen': (random) => ({
    steps: [
      ...some(random, GATEWAYS).flatMap((name) => {
        const fromMs = random.whole(0, 1_500);
        return [at(fromMs, freeze(name)), at(fromMs + random.whole(500, 8_000), thaw(name))];
      }),
      ...perhapsRollback(random, 4_000),
    ],
  }),
  'workers cut from a gateway': (random) => ({
    steps: [
      ...some(random, GATEWAYS).flatMap((name) => broken(random, `admin:${name}`, random.whole(0, 1_500))),
      ...perhapsRollback(random, 4_000),
    ],
  }),
  'callers cut from a gateway': (random) => ({
    steps: [
      ...some(random, GATEWAYS).flatMap((name) => broken(random, `data:${name}`, random.whole(0, 1_500))),
      ...perhapsRollback(random, 4_000),
    ],
  }),
  'Temporal killed': (random) => ({
    steps: [
      at(0, kill('temporal')),
      at(random.whole(300, 7_000), { do: 'start', process: 'temporal' }),
      ...perhapsRollback(random, 2_000),
    ],
  }),
  'Temporal frozen': (random) => ({
    steps: [
      at(0, freeze('temporal')),
      at(random.whole(1_000, 8_000), thaw('temporal')),
      ...perhapsRollback(random, 2_000),
    ],
  }),
  'disk full': (random) => {
    const gateway = random.pick(GATEWAYS);
    const command = random.pick(['rollback', 'emergency-rollback']);
    // What could not be kept must be known to be so before the restart, however slow the machine is.
    const rollback = { ...ask('ana', command, ROUTE, '--json', '--reason', 'chaos'), waitMs: ANSWER_MS };
    const killedMs = random.whole(600, 3_000);
    return {
      steps: [
        at(0, { do: 'disk', gateway, isFull: true }),
        ...(random.chance(0.75) ? [at(400, rollback)] : []),
        at(killedMs, kill(gateway)),
        at(killedMs + random.whole(100, 1_500), { do: 'start', process: gateway }),
        at(killedMs + random.whole(3_000, 6_000), { do: 'disk', gateway, isFull: false }),
      ],
    };
  },
  'state lost': (random) => {
    const gateway = random.pick(GATEWAYS);
    const steps = (fromMs: number) =>
      [
        at(fromMs, kill(gateway)),
        at(fromMs + 50, { do: 'state', gateway, what: 'lose' }),
        at(fromMs + random.whole(100, 2_500), { do: 'start', process: gateway }),
      ] as const satisfies readonly Step[];
    return {
      steps: [...steps(random.whole(0, 1_500)), ...perhapsRollback(random, 3_000)],
      after: random.chance(0.4) ? steps(0) : [],
    };
  },
  'state restored': (random) => {
    const gateway = random.pick(GATEWAYS);
    const steps = (fromMs: number) =>
      [
        at(fromMs, kill(gateway)),
        at(fromMs + 50, { do: 'state', gateway, what: 'restore' }),
        at(fromMs + random.whole(100, 2_000), { do: 'start', process: gateway }),
      ] as const satisfies readonly Step[];
    return {
      steps: [
        at(0, { do: 'state', gateway, what: 'keep' }),
        ...(random.chance(0.5) ? steps(random.whole(1_500, 3_000)) : []),
        ...perhapsRollback(random, 3_000),
      ],
      after: steps(0),
    };
  },
  'clocks set': (random) => {
    const offset = () => random.pick([-1, 1]) * random.pick([2_000, 30_000, 3_600_000, 86_400_000]);
    const worker = random.pick(WORKERS);
    const other = worker === 'worker-1' ? 'worker-2' : 'worker-1';
    const gateway = random.pick(GATEWAYS);
    return {
      steps: [
        at(0, kill(worker)),
        at(100, { do: 'start', process: worker, start: { clockOffsetMs: offset() } }),
        at(200, kill(other)),
        at(300, { do: 'start', process: other, start: { clockJumpMs: offset() } }),
        ...(random.chance(0.6)
          ? [
              at(500, kill(gateway)),
              at(700, { do: 'start', process: gateway, start: { clockOffsetMs: offset() } }),
            ]
          : []),
        at(5_000, { do: 'signal', process: other, signal: 'SIGUSR2' }),
        ...(random.chance(0.5) ? [at(5_500, ask('ana', 'rollback', ROUTE, '--json'))] : []),
      ],
    };
  },
  'operators racing': (random) => {
    const commands = [
      ['pause', ROUTE],
      ['resume', ROUTE],
      ['reevaluate', ROUTE],
      ['rollback', ROUTE, '--to', 'previous', '--json'],
      ['rollback', ROUTE, '--json'],
      ['emergency-rollback', ROUTE, '--json'],
      ['start', ROUTE, '--plan', 'plan.json', '--json'],
      ['kill', ROUTE, '--json'],
      ['kill', ROUTE, '--clear', '--json'],
      ['resume', ROUTE, '--reapply', '--yes'],
    ];
    return {
      steps: Array.from({ length: random.whole(4, 7) }, (_, index) =>
        at(random.whole(0, 2_500), ask(index % 2 === 0 ? 'ana' : 'ben', ...random.pick(commands))),
      ),
    };
  },
  cancelled: (random) => ({
    steps: [
      at(random.whole(0, 1_000), { do: 'temporal', what: 'cancel' }),
      ...(random.chance(0.5) ? [at(random.whole(0, 1_000), kill(random.pick(WORKERS)))] : []),
    ],
  }),
  terminated: (random) => ({ steps: [at(random.whole(0, 1_000), { do: 'temporal', what: 'terminate' })] }),
  reset: (random) => ({ steps: [at(random.whole(500, 2_000), { do: 'temporal', what: 'reset' })] }),
  'candidate fails': (random) => {
    const faults = ['429', '500', 'reset', 'cut', 'stall'] as const satisfies readonly ProviderFault[];
    const drawn = random.chance(0.5) ? [random.pick(faults)] : faults;
    const failPart = random.pick([0.1, 0.3, 1]);
    return {
      steps: [
        at(0, {
          do: 'provider',
          provider: 'candidate',
          behaviour: { failPart, faults: drawn, latencyMs: 10 },
        }),
        ...perhapsRollback(random, 5_000),
        at(7_000, {
          do: 'provider',
          provider: 'candidate',
          behaviour: { failPart: 0, faults: [], latencyMs: 10 },
        }),
      ],
    };
  },
  'both providers fail': (random) => {
    const faults = ['429', '500', 'reset', 'cut'] as const satisfies readonly ProviderFault[];
    const both = ['legacy', 'candidate'] as const;
    return {
      steps: [
        ...both.map((provider) =>
          at(0, {
            do: 'provider',
            provider,
            behaviour: { failPart: random.pick([0.1, 0.4]), faults, latencyMs: random.whole(5, 300) },
          }),
        ),
        ...perhapsRollback(random, 4_000),
        ...both.map((provider) =>
          at(5_000, { do: 'provider', provider, behaviour: { failPart: 0, faults: [], latencyMs: 10 } }),
        ),
      ],
    };
  },
  'kill switch': (random) => {
    const gateway = random.pick(GATEWAYS);
    const clearMs = random.whole(2_000, 5_000);
    return {
      steps: [
        at(0, ask('ana', 'kill', ROUTE, '--json')),
        ...(random.chance(0.4) ? restart(random, gateway, random.whole(1_200, 2_000)) : []),
        ...(random.chance(0.5)
          ? [
              at(clearMs, ask('ana', 'kill', ROUTE, '--clear', '--json')),
              at(clearMs + 2_500, ask('ana', 'resume', ROUTE, '--reapply', '--yes')),
            ]
          : []),
      ],
    };
  },
  'rolling restart': (random) => {
    const strike = random.pick(['complete', 'handover', 'handover', 'canary'] as const);
    const start = strike !== 'canary' && random.chance(0.6) ? ({ settled: 'candidate' } as const) : {};
    return {
      strike,
      steps: GATEWAYS.flatMap((gateway, index) => [
        at(index * 3_500, { do: 'avoid', gateway, isAvoided: true }),
        at(index * 3_500 + 300, { do: 'signal', process: gateway, signal: 'SIGTERM' }),
        at(index * 3_500 + 500, { do: 'start', process: gateway, start }),
        at(index * 3_500 + 3_000, { do: 'avoid', gateway, isAvoided: false }),
      ]),
    };
  },
};
