import type { WatchStageInput } from '../../src/contract';
import { noEvidence } from '../../src/core/evidence/evidence';
import type { MigrationEvent } from '../../src/core/migration/events';
import { transition } from '../../src/core/migration/migration';
import type { MigrationState } from '../../src/core/migration/migration-state';
import type { Plan } from '../../src/core/plan/plan';
import type { GatewayAnswer, GatewayPort } from '../../src/ports';
import type { ActivityCall } from './activity-call';
import type { PlantedFault } from './modelled-world';
import type { Order, Step } from './world-steps';

/** A protection that is taken out, an order that then breaks a law, and the law as the keeper names it. */
export interface Planted {
  readonly fault: PlantedFault;
  readonly order: Order;
  readonly law: RegExp;
}

type Then = readonly [Step, number];

function order(leadMs: number, steps: readonly Then[], said: Partial<Order> = {}): Order {
  return {
    gateways: 2,
    workers: 2,
    earlier: false,
    byAddress: false,
    leadMs,
    steps,
    ending: 'rolls back',
    ...said,
  };
}

const gateway = (index: number, what: Extract<Step, { gateway: number }>['what'], thenMs = 0): Then => [
  { gateway: index, what },
  thenMs,
];
const worker = (index: number, what: Extract<Step, { worker: number }>['what'], thenMs = 0): Then => [
  { worker: index, what },
  thenMs,
];
const world = (
  what: Exclude<Step, { gateway: number } | { worker: number } | { said: object }>['what'],
  thenMs = 0,
): Then => [{ what }, thenMs];
const ana = (said: Extract<Step, { said: object }>['said'], thenMs = 0): Then => [
  { by: 'ana', id: null, said },
  thenMs,
];

const ROLLS_BACK = ana({ name: 'rollback', to: null });
/** In canary, in rolling, and in handover with the candidate pinned, when nothing disturbs. */
const CANARY_MS = 15_000;
const ROLLING_MS = 28_000;
const HANDOVER_MS = 58_000;

function gateways(change: (port: GatewayPort) => Partial<GatewayPort>): PlantedFault {
  return { ports: { gateways: (port) => ({ ...port, ...change(port) }) } };
}

function events(change: (event: MigrationEvent, state: MigrationState) => MigrationEvent): PlantedFault {
  return { service: { transition: (state, event) => transition(state, change(event, state)) } };
}

function watches(change: (input: WatchStageInput) => Partial<WatchStageInput>): PlantedFault {
  return {
    service: {
      call: (call: ActivityCall) =>
        call.name === 'watchStage'
          ? { ...call, input: { ...call.input, ...change(call.input as WatchStageInput) } }
          : call,
    },
  };
}

/** The plan with ramps of one step. */
function atOnce(plan: Plan): Plan {
  const stages = plan.stages.map((stage) =>
    stage.ramp === undefined ? stage : { ...stage, ramp: { ...stage.ramp, step: 1 } },
  );
  return { ...plan, stages };
}

/** The last answer of a gateway stands for one that does not come. */
function lastKnown(port: GatewayPort): Partial<GatewayPort> {
  const known = new Map<string, GatewayAnswer<never>>();
  return {
    status: async (to, route) => {
      const answer = await port.status(to, route);
      if (answer.kind === 'ok') known.set(to.name, answer as GatewayAnswer<never>);
      return answer.kind === 'ok' ? answer : (known.get(to.name) ?? answer);
    },
    push: async (to, route, request) => {
      const answer = await port.push(to, route, request);
      const status = known.get(to.name);
      return answer.kind !== 'unreachable' || status?.kind !== 'ok'
        ? answer
        : { kind: 'ok', value: { confirmed: true, durable: true, status: status.value } };
    },
  };
}

/** Protections of the real activities, the real gateway and the machine, each taken out alone. */
export const PLANTED: Readonly<Record<string, Planted>> = {
  'a lease is granted without asking Temporal': {
    fault: {
      ports: { leaseGrants: () => ({ mayGrantLeases: async () => ({ granted: true, reason: '' }) }) },
    },
    order: order(CANARY_MS, [world('Temporal goes down', 25_000)]),
    law: /dead man's switch/,
  },
  'a workflow task that fails again and again keeps its standing': {
    fault: {
      service: {
        describe: (described) => ({ ...described, raw: { ...described.raw, pendingWorkflowTask: null } }),
      },
    },
    order: order(3_000, [world('workflow tasks fail'), ana({ name: 'pause' }, 30_000)]),
    law: /dead man's switch/,
  },
  'a grant bears another reading than the one before the question': {
    fault: gateways((port) => ({
      renew: async (to, route, request) => {
        const status = await port.status(to, route);
        const reading = status.kind === 'ok' ? { asOfMs: status.value.asOfMs } : {};
        return port.renew(to, route, { ...request, ...reading });
      },
    })),
    order: order(
      12_100,
      [
        world('Temporal answers late', 5_250),
        worker(0, 'is stopped'),
        worker(1, 'is stopped', 16_000),
        world('Temporal goes down'),
        worker(0, 'goes on'),
        worker(1, 'goes on', 3_000),
      ],
      { workers: 2 },
    ),
    law: /dead man's switch/,
  },
  'an unpinned record is served again after a restart': {
    fault: {
      gateway: ({ process }) => {
        const status = process?.state.status();
        if (status?.record?.pinned === false) {
          process?.state.renew({ ...status, epoch: status.record.epoch });
        }
      },
    },
    order: order(CANARY_MS, [
      worker(0, 'dies'),
      worker(1, 'dies', 14_000),
      gateway(0, 'is restarted', 10_000),
    ]),
    law: /dead man's switch/,
  },
  'a restart forgets a kill switch': {
    fault: {
      gateway: ({ disk }) => {
        const save = disk.save.bind(disk);
        disk.save = (state) => save({ ...state, kill: null, withdrawn: false });
      },
    },
    order: order(HANDOVER_MS, [gateway(0, 'is killed'), gateway(0, 'is restarted', 5_000)]),
    law: /law 9: .*its kill switch withdrew/,
  },
  'a request is sent by the routing under which it was drawn': {
    fault: {
      gateway: ({ process }) => {
        if (process === null) return;
        const open = process.state.permit.bind(process.state);
        process.state.permit = (...asked) => {
          const permit = open(...asked);
          return {
            send: () => {
              permit.send();
              return true;
            },
            close: () => permit.close(),
            onCut: (listener) => permit.onCut(listener),
          };
        };
      },
    },
    order: order(CANARY_MS, [world('requests are sent late'), worker(0, 'dies'), worker(1, 'dies', 20_000)]),
    law: /dead man's switch/,
  },
  'a kill switch is forgotten when its gateway is silent': {
    fault: events((event, { roster }) => {
      if (event.type !== 'watched') return event;
      const { answered = [], drifts = [] } = event.window;
      const said = drifts.filter(({ gateway: name }) => answered.includes(name));
      const everybody = roster.map(({ name }) => name);
      const window = { ...event.window, drifts: said, drift: said[0] ?? null, answered: everybody };
      return { ...event, window };
    }),
    order: order(CANARY_MS, [
      gateway(0, 'is killed', 8_000),
      gateway(0, 'dies', 22_000),
      ana({ name: 'resume', accept: true }, 1_000),
    ]),
    law: /law 9/,
  },
  'a lapsed lease is believed before it has run out': {
    fault: events((event) =>
      event.type === 'routing applied'
        ? { ...event, result: { ...event.result, lapsed: event.result.missing, missing: [] } }
        : event,
    ),
    order: order(ROLLING_MS, [gateway(0, 'hears nothing'), ana({ name: 'rollback', to: null }, 12_000)]),
    law: /law 1(0)?:/,
  },
  'a lapsed lease stands for a pinned record': {
    fault: {
      service: {
        transition: (state, event) =>
          transition({ ...state, mayHold: { ...state.mayHold, pinned: false } }, event),
      },
    },
    order: order(HANDOVER_MS, [gateway(0, 'hears nothing'), ana({ name: 'rollback', to: null }, 40_000)]),
    law: /lapsed lease (never stands|stood)|law 1(0)?:/,
  },
  'what was known of a gateway stands for its answer': {
    fault: gateways(lastKnown),
    order: order(HANDOVER_MS, [gateway(0, 'hears nothing'), ana({ name: 'rollback', to: null }, 12_000)]),
    law: /law 1(0)?: gw-1 serves/,
  },
  'every window reads from the start': {
    fault: watches((input) => ({ progress: { ...input.progress, cursors: {} } })),
    order: order(HANDOVER_MS, []),
    law: /evidence: the workflow takes in .* where gateways counted/,
  },
  'a cursor is kept without its evidence': {
    fault: gateways((port) => ({
      evidence: async (to, route, epoch, since) => {
        const lost = await port.evidence(to, route, epoch, since);
        if (lost.kind !== 'ok') return lost;
        return { ...lost, value: { ...lost.value, evidence: noEvidence(epoch) } };
      },
    })),
    order: order(HANDOVER_MS, []),
    law: /evidence: the workflow takes in .* where gateways counted/,
  },
  'the evidence of one gateway is counted for another': {
    fault: gateways((port) => ({
      evidence: (to, route, epoch, since) =>
        port.evidence({ ...to, admin: 'http://10.0.0.1:8082' }, route, epoch, since),
    })),
    order: order(HANDOVER_MS, []),
    law: /evidence: the workflow takes in .* where gateways counted/,
  },
  'missing evidence passes': {
    fault: events((event) =>
      event.type === 'watched' && event.window.verdict.outcome === 'not evaluated'
        ? { ...event, window: { ...event.window, verdict: { ...event.window.verdict, outcome: 'pass' } } }
        : event,
    ),
    order: order(CANARY_MS, [gateway(0, 'dies', 30_000)]),
    law: /law 3:/,
  },
  'a paused stage is not watched for harm': {
    fault: events((event, { paused }) =>
      event.type === 'watched' && paused !== null
        ? { ...event, window: { ...event.window, verdict: { ...event.window.verdict, harm: null } } }
        : event,
    ),
    order: order(CANARY_MS, [ana({ name: 'pause' })], { ending: 'harm' }),
    law: /does not end|law 4/,
  },
  'a pause lets the stage be left': {
    fault: {
      service: {
        transition: (state, event) =>
          event.type === 'watched' && state.paused?.cause === 'operator'
            ? { ...transition({ ...state, paused: null }, event), paused: state.paused }
            : transition(state, event),
      },
    },
    order: order(CANARY_MS, [ana({ name: 'pause' }, 40_000)]),
    law: /law 4/,
  },
  'a rollback waits for the change that is under way': {
    fault: {
      service: {
        transition: (state, event) =>
          event.type === 'command' && event.command.name === 'rollback' && state.phase === 'applying'
            ? state
            : transition(state, event),
      },
    },
    order: order(CANARY_MS, [
      gateway(0, 'hears nothing'),
      gateway(1, 'hears nothing'),
      ana({ name: 'promote', override: true }, 1_000),
      ROLLS_BACK,
    ]),
    law: /law 1/,
  },
  'a reapply goes over a kill switch': {
    fault: {
      service: {
        transition: (state, event) =>
          event.type === 'command' && event.command.name === 'resume'
            ? transition(
                { ...state, drifts: (state.drifts ?? []).map((drift) => ({ ...drift, kill: null })) },
                event,
              )
            : transition(state, event),
      },
    },
    order: order(CANARY_MS, [gateway(0, 'is killed', 8_000), ana({ name: 'resume', accept: true }, 1_000)]),
    law: /law 9/,
  },
  'one settled gateway stands for all in the handover': {
    fault: events((event, { roster }) =>
      event.type === 'watched' && event.window.settled.length > 0
        ? { ...event, window: { ...event.window, settled: roster.map(({ name }) => name) } }
        : event,
    ),
    order: order(HANDOVER_MS, [gateway(0, 'is settled', 90_000)]),
    law: /law 10: completed unsettled/,
  },
  'whoever calls is taken for one of the cohort': {
    fault: {
      gateway: ({ process }) => {
        if (process === null) return;
        const draw = process.state.draw.bind(process.state);
        process.state.draw = (key, id, continued, opening) => draw(key, id, continued, opening, true);
      },
    },
    order: order(CANARY_MS, [], { plan: 'piloted' }),
    law: /cohort: gw-\d serves .* to a caller outside of it/,
  },
  'a ramp takes all its steps at once': {
    fault: {
      service: {
        transition: (state, event) => ({
          ...transition({ ...state, plan: atOnce(state.plan) }, event),
          plan: state.plan,
        }),
      },
    },
    order: order(HANDOVER_MS, [], { plan: 'ramped' }),
    law: /law 2/,
  },
  'a rollback is thought done by who is found, not by who is known': {
    fault: events((event) =>
      event.type === 'routing applied'
        ? {
            ...event,
            result: {
              ...event.result,
              confirmed: [...event.result.confirmed, ...event.result.missing],
              missing: [],
            },
          }
        : event,
    ),
    order: order(HANDOVER_MS, [gateway(0, 'dies'), ana({ name: 'rollback', to: null }, 12_000)]),
    law: /confirmed nothing|law 1(0)?:/,
  },
};
