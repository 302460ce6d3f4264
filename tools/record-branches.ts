import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import {
  DefaultLogger,
  makeTelemetryFilterString,
  NativeConnection,
  Runtime,
  Worker,
} from '@temporalio/worker';
import { MigrationClient } from '../src/client';
import { cacheDirectory, environment } from '../src/config';
import {
  EFFECT_TASK_QUEUE,
  MIGRATION_WORKFLOW,
  type MigrationInput,
  MOVE_TO_CURRENT_BUILD,
  SEARCH_ATTRIBUTES,
  TASK_QUEUE,
  WATCH_TASK_QUEUE,
  workflowIdOf,
} from '../src/contract';
import { parseDocument } from '../src/core/configuration/schema-parts';
import { withJudge } from '../src/core/evidence/judge-counts';
import { NO_PAIRS } from '../src/core/evidence/pair-counts';
import { noStageEvidence } from '../src/core/evidence/stage/stage-evidence';
import { withPairs } from '../src/core/evidence/stage/stage-pairs';
import { metricVerdict } from '../src/core/gates/gate-metric';
import type { GateVerdict } from '../src/core/gates/verdict';
import { identityStart } from '../src/core/identity/identity-audit';
import type { IdentityReference } from '../src/core/identity/identity-reference';
import type { CommandName } from '../src/core/migration/command';
import { type Drift, REVISION } from '../src/core/migration/migration-state';
import type { MigrationStatus } from '../src/core/migration/status';
import { planSchema } from '../src/core/plan/plan-schema';
import { startTemporalServer } from '../src/temporal-server/dev-server';
import { findTemporal } from '../src/temporal-server/temporal-source';
import { entryOf, type ScriptedWorld, scriptedActivities, scriptedWorld } from './scripted-world';

/**
 * Records a history of every family of decisions, with two gateways: the workflow and Temporal are real, gateways and
 * providers are scripted, because what they do here cannot be had from healthy ones within seconds. Run it once for each
 * release that decides otherwise, and never remove what it wrote:
 * `npm run -s build && node dist/tools/record-branches.js test/histories`; names after it record only those.
 */
async function main(folder: string, only: readonly string[]): Promise<void> {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR' }) } },
  });
  const wanted = (names: readonly string[]) =>
    names.filter((name) => only.length === 0 || only.includes(name));
  await recordAll(folder, wanted(Object.keys(SCENES)), {});
  // Few events to a run: what continues as new is recorded run by run.
  const dynamicConfig = { 'limit.historyCount.suggestContinueAsNew': 90 };
  await recordAll(folder, wanted(Object.keys(LONG_SCENES)), dynamicConfig);
}

/** What a scene acts with. */
interface Scene {
  readonly route: string;
  readonly world: ScriptedWorld;
  readonly handle: WorkflowHandle;
  until(wanted: (status: MigrationStatus) => boolean): Promise<void>;
  order(name: CommandName, payload?: object): Promise<void>;
  /** A plan of the route with every default filled in. */
  plan(said: object): object;
  /** Starts the migration by this plan and waits until it is in a stage. */
  begin(plan: object, stage?: string): Promise<void>;
}

const MOVING = {
  ...{ window: '1s', minimumSample: 3, minimumKeys: 0, burnIn: { time: '0s', requests: 0 } },
  ...{ soak: '5m', deadline: { hold: '10m' } },
};
const PASS = { outcome: 'pass', sentence: 'errors within 2 points' } as const;
const KILLED: Drift = {
  ...{ gateway: 'gw-2', kind: 'kill latch', detail: 'the kill switch was set by ben: odd answers' },
  kill: { by: 'ben', reason: 'odd answers', at: '2026-11-28T12:00:00.000Z' },
};
const OVERTAKEN: Drift = {
  ...{ gateway: 'gw-1', kind: 'newer epoch', detail: 'it has seen epoch 40', kill: null, epoch: 40 },
};

function stages(said: Readonly<Record<string, object>> = {}): object[] {
  return [
    { name: 'assess', minimumSample: 2, window: '1s', deadline: { hold: '10m' }, ...said['assess'] },
    { name: 'canary', ...MOVING, share: 0.3, ...said['canary'] },
    { name: 'rolling', ...MOVING, share: 0.6, ...said['rolling'] },
    { name: 'complete', ...MOVING, ...said['complete'] },
  ];
}

/** The same with one that copies behind assess. */
function copyingStages(said: object = {}): object[] {
  const [assess, ...moving] = stages();
  const shadow = { name: 'shadow', mirror: '5%', maxCostUsd: 5, window: '1s', soak: '5m', ...said };
  return [assess as object, shadow, ...moving];
}

/** A push has been answered, and somebody is missing. */
const isVerifying = ({ doing }: MigrationStatus) => doing.startsWith('waiting for gw-');
const isClosed = ({ phase }: MigrationStatus) => phase === 'closed';
const isIn = (stage: string) => (status: MigrationStatus) =>
  status.phase === 'observing' && status.stage === stage;

const SCENES: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  /** A rollback that waits for a gateway, and the emergency that overtakes it. */
  async unverified({ world, begin, order, until }) {
    await begin({ stages: stages() });
    world.silent = ['gw-2'];
    await order('rollback', { to: 'previous' });
    await until(isVerifying);
    await order('emergencyRollback');
    await until(isVerifying);
    world.silent = [];
    await until(isClosed);
  },

  /** Amendments: one that is accepted, those that are refused, and a rollback that comes with one. */
  async amended({ begin, order, until, plan }) {
    const canary = { minimumSample: 2, deadline: { hold: '20m' } };
    await begin({ stages: stages() });
    await order('amend', { plan: plan({ stages: stages({ canary }) }) });
    await order('amend', { plan: plan({ stages: stages({ canary }) }) });
    await order('amend', { plan: plan({ stages: stages({ canary: { ...canary, share: 0.4 } }) }) });
    const [assess, , ...ahead] = stages();
    const longer = [
      assess,
      { name: 'canary', ...MOVING, share: 0.3, ...canary },
      { name: 'quarter', ...MOVING, share: 0.45 },
      ...ahead,
    ];
    await order('amend', { plan: plan({ stages: longer }), digest: 'of another' });
    await order('amend', { plan: plan({ stages: longer }) });
    await order('promote', { stage: 'canary', override: true });
    await until(isIn('quarter'));
    await order('amend', { plan: plan({ stages: longer, notify: [{ name: 'hook' }] }) });
    // On a slow machine the rollback may have ended all before the amendment arrives.
    await Promise.allSettled([order('rollback'), order('amend', { plan: plan({ stages: longer }) })]);
    await until(isClosed);
  },

  /** Three lapses within a day pause; harm rolls back all the same. */
  async lapses({ world, begin, order, until }) {
    await begin({ stages: stages(), notify: [{ name: 'hook' }] });
    const lapses = world.gateways.map(({ name }) => ({ gateway: name, what: 'its lease had lapsed' }));
    world.windows.push({ lapses }, { lapses }, { lapses });
    await until(({ paused }) => paused?.cause === 'lapses');
    await order('resume');
    world.verdict = { ...PASS, outcome: 'fail', harm: 'errors' };
    await until(isClosed);
  },

  /** A gateway joins, another leaves, and the lease of the third stands for its word. */
  async roster({ world, begin, order, until }) {
    await begin({ stages: stages() });
    world.gateways.push(entryOf('gw-3'));
    world.windows.push({ ended: 'roster changed', discovered: [entryOf('gw-3')] });
    await until(({ roster }) => roster.includes('gw-3'));
    world.gateways.shift();
    world.windows.push({ ended: 'roster changed', left: ['gw-1'] });
    await until(({ roster }) => !roster.includes('gw-1'));
    world.silent = ['gw-3'];
    await order('rollback');
    await until(isVerifying);
    world.leaseOver = ['gw-3'];
    await until(isClosed);
  },

  /** An advance that reaches nobody is undone under a newer epoch. */
  async restore({ world, begin, order, until }) {
    await begin({ stages: stages() });
    world.silent = ['gw-1', 'gw-2'];
    await order('promote', { stage: 'canary', override: true });
    await until(({ lastCheckpoints }) => lastCheckpoints.some(({ kind }) => kind === 'failed'));
    world.silent = ['gw-2'];
    await until(isVerifying);
    world.silent = [];
    await until(isIn('canary'));
    await order('rollback');
    await until(isClosed);
  },

  /** A stage that its deadline holds, with a word to somebody, and then rolls back. */
  async deadlines({ begin, until }) {
    const canary = { soak: '1s', deadline: { hold: '2s', rollback: '5s' } };
    await begin({ stages: stages({ canary }), notify: [{ name: 'hook' }] });
    await until(isClosed);
  },

  /** External gates: no, asked again, yes; a stage's effects; all of it put back. */
  async confirmed({ world, begin, order, until }) {
    world.verdict = PASS;
    world.confirms.push('no', 'yes');
    const canary = { soak: '500ms', effects: [{ name: 'flags', set: { flag: 'share', value: 30 } }] };
    await begin({
      stages: stages({ canary, rolling: { confirm: ['change-board'] } }),
      notify: [{ name: 'hook' }],
    });
    await until(({ held }) => held !== null);
    await order('reevaluate');
    await until(isIn('rolling'));
    world.verdict = {};
    await order('rollback');
    await until(isClosed);
  },

  /** Effects that fail, are refused, escalate and are put back at the second attempt. */
  async failing({ world, begin, order, until }) {
    world.failing['flags'] = ['unavailable', 'refused', 'unavailable'];
    const canary = { effects: [{ name: 'flags', set: { flag: 'share', value: 30 } }] };
    await begin({ stages: stages({ canary }), notify: [{ name: 'hook' }] });
    await until(({ effects }) => effects.every(({ purpose }) => purpose !== 'apply'));
    world.failing['flags'] = ['refused'];
    world.failing['hook'] = ['unavailable'];
    await order('rollback');
    await until(isClosed);
  },

  /** Salts that split unevenly, an assessment in doubt, and an approval that nobody gives in time. */
  async doubtful({ world, begin, until }) {
    world.verdict = PASS;
    world.assessments.push({ saltBalanced: false }, { outcome: 'inconclusive', sentence: 'too few probes' });
    const canary = { soak: '500ms', approval: { expires: '2s', onExpiry: 'roll back' } };
    await begin({ stages: stages({ canary }) });
    await until(isClosed);
  },

  /** An approval that is asked for, given, and holds nothing up any more. */
  async approved({ world, begin, order, until }) {
    world.verdict = PASS;
    const canary = { soak: '500ms', approval: true };
    await begin({ stages: stages({ canary }), notify: [{ name: 'hook' }] });
    await until(({ approval }) => approval !== null);
    await order('approve');
    await until(isIn('rolling'));
    world.verdict = {};
    await order('rollback');
    await until(isClosed);
  },

  /** Rollout hours that have not come, and providers that are unwell when they have. */
  async hours({ world, begin, order, until }) {
    const soon = { atMs: Date.now() + 3_000, why: 'outside of rollout hours' };
    world.health.push({}, { notBefore: soon }, { healthy: false, sentence: 'candidate: timeout' }, 'fails');
    await begin({ stages: stages({ canary: { soak: '500ms' } }) });
    world.verdict = PASS;
    await until(isIn('rolling'));
    world.verdict = {};
    await order('rollback');
    await until(isClosed);
  },

  /** A kill switch, what it refuses, and our routing again under a new epoch. */
  async latched({ world, begin, order, until }) {
    await begin({ stages: stages(), notify: [{ name: 'hook' }] });
    world.drifts = [KILLED];
    await until(({ paused }) => paused?.cause === 'drift');
    await order('resume', { accept: 'reapply' });
    world.drifts = [];
    await until(({ drift }) => drift?.kill == null);
    await order('resume', { accept: 'reapply' });
    await until(isIn('canary'));
    await order('rollback');
    await until(isClosed);
  },

  /** A rollback to an earlier stage that meets a newer epoch goes to legacy, above it. */
  async overtaken({ world, begin, order, until }) {
    await begin({ stages: stages() });
    await order('promote', { stage: 'canary', override: true });
    await until(isIn('rolling'));
    world.drifts = [OVERTAKEN];
    await order('rollback', { to: 'previous' });
    await until(({ pending }) => pending === null || pending.share === 0);
    world.drifts = [];
    await until(isClosed);
  },

  /** Complete, and gateways that are settled one after the other. */
  async settled({ world, begin, until }) {
    world.verdict = PASS;
    const soak = { soak: '500ms' };
    const quick = { canary: soak, rolling: soak, complete: soak };
    await begin({ stages: stages(quick), notify: [{ name: 'hook' }], report: true }, 'complete');
    await until(({ phase }) => phase === 'handover');
    world.settled = ['gw-1'];
    await sleep(1_500);
    world.settled = ['gw-1', 'gw-2'];
    await until(isClosed);
  },

  /** Handover that an operator ends; a pause and an override on the way. */
  async finished({ world, begin, order, until }) {
    await begin({ stages: stages() });
    await order('pause');
    await order('promote', { stage: 'canary', override: true });
    await until(isIn('rolling'));
    await order('resume');
    await order('promote', { stage: 'rolling', override: true });
    await until(isIn('complete'));
    world.silent = ['gw-2'];
    await order('promote', { stage: 'complete', override: true });
    await order('finish');
    await until(isClosed);
  },

  /** At complete nothing rolls back by itself while legacy's probes fail. */
  async unwell({ world, begin, order, until }) {
    await begin({ stages: stages() });
    for (const stage of ['canary', 'rolling']) {
      await order('promote', { stage, override: true });
      await until(({ stage: now, phase }) => now !== stage && phase === 'observing');
    }
    const answering = { probes: 30, failures: 0, passedInARow: 30, failedInARow: 0, meanMs: 5 };
    const legacy = { ...answering, passedInARow: 0, failedInARow: 9 };
    const verdict = { ...VERDICT, stage: 'complete', harm: 'probes' };
    world.windows.push({ probes: { legacy, candidate: answering }, verdict });
    await until(({ held }) => held !== null);
    world.verdict = { harm: 'floor' };
    await until(isClosed);
  },

  /** Answers with a status of success that break their contract. */
  async broken({ world, begin, until }) {
    await begin({ stages: stages(), notify: [{ name: 'hook' }] });
    const sentence =
      'answers that break their contract: 6.1% against 1.2%, mostly tool arguments outside their schema (5% against 0.1%)';
    world.verdict = { outcome: 'fail', harm: 'answers', sentence };
    await until(isClosed);
  },

  /** A stage that copies has passed, and canary after it has not. */
  async copied({ world, begin, until, order }) {
    world.verdict = { ...PASS, stage: 'shadow' };
    await begin({ stages: copyingStages({ soak: '1s' }) }, 'shadow');
    await until(isIn('canary'));
    await order('rollback');
    await until(isClosed);
  },

  /** A ramp: its steps, one that finds no room at first, a pause, a step back, and a rollback from the middle. */
  async ramped({ world, begin, order, until }) {
    world.verdict = { ...PASS, requests: { legacy: 90, candidate: 10 } };
    const full = 'too little room at the candidate: it allows 600 requests per minute';
    world.health.push({}, {}, { healthy: false, sentence: full });
    await begin({
      stages: stages({ canary: { ramp: { step: '5%', every: '1s' } } }),
      notify: [{ name: 'hook' }],
    });
    await until(({ share }) => share === 0.1);
    await until(({ share }) => share === 0.15);
    await order('pause');
    await order('promote', { stage: 'canary', override: true });
    await until(({ share, phase }) => share === 0.2 && phase === 'observing');
    await order('resume');
    await until(({ share, ramp }) => share === 0.3 && ramp === undefined);
    await order('rollback', { to: 'previous' });
    await until(({ share, paused }) => share === 0.25 && paused !== null);
    await order('resume');
    await order('rollback');
    await until(isClosed);
  },

  /** A cohort that has passed, canary after it, the way back to it, and a rollback from there. */
  async piloted({ world, begin, order, until }) {
    world.verdict = { ...PASS, stage: 'pilot', requests: { legacy: 0, candidate: 200 } };
    const [assess, ...moving] = stages();
    const pilot = { ...MOVING, name: 'pilot', only: { teams: ['search'] }, soak: '1s' };
    await begin({ stages: [assess, pilot, ...moving], notify: [{ name: 'hook' }] }, 'pilot');
    await until(isIn('canary'));
    await order('rollback', { to: 'previous' });
    await until(({ stage, paused }) => stage === 'pilot' && paused !== null);
    world.verdict = {
      outcome: 'fail',
      harm: 'cohort success',
      sentence: 'of 40 requests the candidate failed 9',
    };
    await until(isClosed);
  },

  /** Copies that lose end a migration before anybody was served by the candidate. */
  async lost({ world, begin, until }) {
    await begin({ stages: copyingStages() }, 'shadow');
    const sentence = 'of 948 pairs the candidate lost 40 and won 8, mostly by refusals (30)';
    world.verdict = { outcome: 'fail', harm: 'pairs', sentence };
    await until(isClosed);
  },

  /** Copies that have cost what they may hold the stage, and nothing is watched until somebody answers for it. */
  async spent({ world, begin, until, order }) {
    await begin({ stages: copyingStages() }, 'shadow');
    const counts = { ...NO_PAIRS, copies: 900, costUsd: 5 };
    const pairs = withPairs(undefined, counts, { latency: 3, outputTokens: 3, cost: 3 });
    world.windows.push({ ended: 'budget spent', evidence: { ...noStageEvidence(2), pairs } });
    await until(({ held }) => held !== null);
    await order('promote', { stage: 'shadow', override: true });
    await until(isIn('canary'));
    await order('rollback');
    await until(isClosed);
  },

  /** What copies and their judge may cost is raised: once a window has ended, and at once where all of it is spent. */
  async raised({ world, begin, until, order, plan }) {
    const judge = { provider: 'new', model: 'arbiter', maxCostUsd: 2 };
    const costing = (maxCostUsd: number, judgeUsd = 2) =>
      plan({ stages: copyingStages({ maxCostUsd }), judge: { ...judge, maxCostUsd: judgeUsd } });
    await begin({ stages: copyingStages(), judge }, 'shadow');
    await order('amend', { plan: costing(10, 3) });
    await until(({ epoch, phase }) => epoch === 3 && phase === 'observing');
    const counts = { ...NO_PAIRS, copies: 900, costUsd: 10 };
    const pairs = withPairs(undefined, counts, { latency: 3, outputTokens: 3, cost: 3 });
    const judged = withJudge(undefined, { rows: [[-1, 20, 21, 30]], unjudged: { busy: 2 }, costUsd: 0.5 });
    world.windows.push({ ended: 'budget spent', evidence: { ...noStageEvidence(3), pairs, judge: judged } });
    await until(({ held }) => held !== null);
    await order('amend', { plan: costing(9, 3) });
    await order('amend', { plan: costing(20, 3) });
    await until(({ epoch, phase, held }) => epoch === 4 && phase === 'observing' && held === null);
    await order('rollback');
    await until(isClosed);
  },

  /**
   * A tokenizer that a person accepts before anything moves, another model in canary that pauses, and answers that are
   * distributed otherwise, for which a stage that has passed waits.
   */
  async exchanged({ world, begin, until, order }) {
    const standing = identityStart(SOLD, 'sold.json');
    const text = 'identity: another tokenizer than the reference: fixed text 2 has 100 tokens, 113 expected';
    world.identities.push({ findings: [{ kind: 'approval', item: 'identity', asks: null, text }], standing });
    await begin({ stages: stages({ canary: { soak: '1s' } }), identity: { reference: 'sold.json' } }, '');
    await until(({ approval }) => approval !== null);
    await order('approve');
    await until(isIn('canary'));
    const sentence = 'identity: the model named in answers has changed: large before, small now';
    const event = { what: 'model', got: 'small', sentence } as const;
    const metric = metricVerdict({
      ...{ metric: 'served model', outcome: 'fail', unit: 'probes', role: 'guardrail and goal', sentence },
    });
    const exchanged = { ...standing, models: ['large', 'small'], events: [event] };
    const verdict = { ...VERDICT, stage: 'canary', pause: sentence, sentence, metrics: [metric] };
    world.windows.push({ servedModel: exchanged, verdict });
    await until(({ paused }) => paused !== null);
    await order('resume');
    const asks = 'identity: 90 answers are distributed differently from those of the reference';
    world.verdict = { ...PASS, approvals: [asks] };
    await until(({ approval }) => approval !== null);
    await order('rollback');
    await until(isClosed);
  },

  /** Answers that cannot be checked hold a stage, until somebody answers for it. */
  async unchecked({ world, begin, order, until }) {
    const sentence = 'canary is not evaluated: 40% of the answers of the candidate could not be checked';
    world.verdict = { outcome: 'not evaluated', sentence };
    await begin({ stages: stages({ canary: { soak: '1s', deadline: { hold: '2s' } } }) });
    await until(({ held }) => held !== null);
    await order('promote', { stage: 'canary', override: true });
    await until(isIn('rolling'));
    await order('rollback');
    await until(isClosed);
  },

  /** A gateway that is gone for good while a rollback waits for it. */
  async forgotten({ world, begin, order, until }) {
    await begin({ stages: stages() });
    world.silent = ['gw-2'];
    await order('rollback');
    await until(({ unreachable }) => unreachable.includes('gw-2'));
    await order('forget', { gateway: 'gw-2' });
    await until(isClosed);
  },

  /** Gateways that cannot be read at first, a share that nobody remembers, and a cancellation. */
  async cancelled({ world, begin, handle, until }) {
    const share = { gateway: 'gw-2', share: 0.5, epoch: 7, migrationId: 'gone-1' };
    world.readings.push({ unreachable: ['gw-1'] }, { highestEpoch: 7, forgotten: [share] });
    await begin({ stages: stages(), report: true });
    await handle.cancel();
    await until(isClosed);
  },

  /** An assessment that says no. */
  async rejected({ world, begin, until }) {
    world.assessments.push({ outcome: 'fail', blockers: ['no embeddings'], sentence: 'no embeddings' });
    await begin({ stages: stages(), notify: [{ name: 'hook' }] }, '');
    await until(isClosed);
  },

  /** Orders of every kind, good and bad. */
  async orders({ begin, order, handle, until }) {
    await begin({ stages: stages() });
    await order('pause', { commandId: 'once' });
    await order('pause', { commandId: 'once' });
    await order('resume', { commandId: 'once' });
    await handle.signal('pause', 'not an object');
    await order('promote', { stage: 'canary' });
    await order('resume');
    await order('promote', { stage: 'canary' });
    await order('reevaluate');
    await order('promote', { stage: 'canary', override: true });
    await until(isIn('rolling'));
    await order('rollback', { to: 'previous' });
    await until(isIn('canary'));
    await order('resume');
    await order('finish');
    await order('rollback', { to: 99 });
    await order('rollback', { commandId: 'once' });
    await until(isClosed);
  },
};

/** A reference that nothing is compared with: what was asked is scripted. */
const SOLD: IdentityReference = {
  ...{ questionSet: 1, provider: 'original', model: 'large', enrolledAt: '2026-11-29T12:00:00.000Z' },
  ...{ declared: null, fixed: [28, 41, 26, 32, 26], answers: [], reasons: false, contextTokens: null },
  digest: `sha256:${'5'.repeat(64)}`,
};

const VERDICT: Omit<GateVerdict, 'stage'> = {
  ...{
    epoch: 0,
    outcome: 'fail',
    harm: null,
    pause: null,
    sentence: 'legacy does not answer',
    burnIn: false,
  },
  ...{ metrics: [], observedShare: null, requests: { legacy: 0, candidate: 10 }, baseline: null },
};

const LONG_SCENES: typeof SCENES = {
  /** A move to the current build of the workers in the middle of a window. */
  async moved({ begin, order, handle, until }) {
    await begin({ stages: stages({ canary: { window: '30s' } }) });
    const { runId } = await handle.describe();
    await handle.signal(MOVE_TO_CURRENT_BUILD, {});
    while ((await handle.describe()).runId === runId) await sleep(POLL_MS);
    await until(isIn('canary'));
    await order('rollback');
    await until(isClosed);
  },

  /** A rollback that waits from run to run. */
  async waiting({ world, begin, order, handle, until }) {
    await begin({ stages: stages() });
    world.silent = ['gw-2'];
    await order('rollback');
    const { runId } = await handle.describe();
    while ((await handle.describe()).runId === runId) await sleep(POLL_MS);
    await until(isVerifying);
    world.silent = [];
    await until(isClosed);
  },

  /** A question that is asked again in the next run, and answered there. */
  async asked({ world, begin, order, handle, until }) {
    world.verdict = PASS;
    world.undecided = true;
    await begin({
      stages: stages({ canary: { soak: '500ms' }, rolling: { confirm: ['change-board'] } }),
    });
    const { runId } = await handle.describe();
    while ((await handle.describe()).runId === runId) await sleep(POLL_MS);
    world.undecided = false;
    await until(isIn('rolling'));
    world.verdict = {};
    await order('rollback');
    await until(isClosed);
  },

  /** A stage that was added in one run and is entered in the next. */
  async extended({ begin, order, handle, until, plan }) {
    await begin({ stages: stages() });
    const [assess, canary, ...ahead] = stages();
    const longer = [assess, canary, { name: 'quarter', ...MOVING, share: 0.45 }, ...ahead];
    await order('amend', { plan: plan({ stages: longer }) });
    const { runId } = await handle.describe();
    while ((await handle.describe()).runId === runId) await sleep(POLL_MS);
    await order('promote', { stage: 'canary', override: true });
    await until(isIn('quarter'));
    await order('rollback');
    await until(isClosed);
  },

  /** More checkpoints than a run hands on at once. */
  async pages({ world, begin, order, handle, until }) {
    await begin({ stages: stages() });
    const { runId } = await handle.describe();
    const what = `its lease had lapsed: ${'no renewal '.repeat(100)}`;
    const lapses = Array.from({ length: 50 }, (_, index) => ({ gateway: `gw-${index}`, what }));
    world.windows.push({ lapses });
    while ((await handle.describe()).runId === runId) await sleep(POLL_MS);
    await order('rollback');
    await until(isClosed);
  },
};

const POLL_MS = 50;

async function recordAll(
  folder: string,
  names: readonly string[],
  dynamicConfig: Readonly<Record<string, number>>,
): Promise<void> {
  if (names.length === 0) return;
  const source = await findTemporal({ env: environment, cacheDir: cacheDirectory(), report: () => {} });
  if (source.kind !== 'executable') throw new Error('expected a Temporal of our own: unset TEMPORAL_ADDRESS');
  const searchAttributes = SEARCH_ATTRIBUTES;
  const temporal = await startTemporalServer({
    ...{ executable: source.path, searchAttributes, uiPort: 'off', dynamicConfig },
  });
  const { address, namespace } = temporal;
  const connection = await NativeConnection.connect({ address });
  const worlds = new Map(names.map((name) => [name, scriptedWorld()]));
  const { routing, watch, effects } = scriptedActivities(worlds);
  const workflowBundle = { codePath: join(__dirname, '..', 'workflow-bundle.js') };
  const shared = { connection, namespace } as const;
  const workers = await Promise.all([
    Worker.create({ ...shared, taskQueue: TASK_QUEUE, workflowBundle, activities: { ...routing } }),
    Worker.create({ ...shared, taskQueue: WATCH_TASK_QUEUE, activities: { ...watch } }),
    Worker.create({ ...shared, taskQueue: EFFECT_TASK_QUEUE, activities: { ...effects } }),
  ]);
  const runs = workers.map((worker) => worker.run());
  const client = await MigrationClient.connect({ address, namespace });
  try {
    const recordings = names.map((name) => record({ folder, name, address, namespace, client, worlds }));
    const failed = (await Promise.allSettled(recordings)).flatMap((one) =>
      one.status === 'rejected' ? [String(one.reason)] : [],
    );
    if (failed.length > 0) throw new Error(failed.join('\n'));
  } finally {
    await client.close();
    for (const worker of workers) worker.shutdown();
    await Promise.all(runs);
    await connection.close();
    await temporal.stop();
  }
}

interface Recording {
  readonly folder: string;
  readonly name: string;
  readonly address: string;
  readonly namespace: string;
  readonly client: MigrationClient;
  readonly worlds: ReadonlyMap<string, ScriptedWorld>;
}

async function record({ folder, name: route, address, namespace, client, worlds }: Recording): Promise<void> {
  const connection = await Connection.connect({ address });
  const workflows = new Client({ connection, namespace }).workflow;
  const handle = workflows.getHandle(workflowIdOf(route));
  const until: Scene['until'] = async (wanted) => {
    for (const endMs = Date.now() + LONGEST_MS; ; await sleep(POLL_MS)) {
      const status = await client.status(route);
      if (wanted(status)) return;
      if (Date.now() > endMs) throw new Error(`${route}: waited in vain, it is ${JSON.stringify(status)}`);
    }
  };
  const scene: Scene = {
    ...{ route, world: worlds.get(route) as ScriptedWorld, handle, until },
    async order(name, payload = {}) {
      const { inEffect, approval } = await client.status(route);
      const answers = name === 'promote' && 'override' in payload ? { checkpoint: inEffect } : {};
      const asks = name === 'approve' ? { checkpoint: approval?.checkpoint } : {};
      const sent = { by: 'ana', reason: 'recorded', ...answers, ...asks, ...payload };
      // As a signal, so that what is refused is recorded as well.
      await client.command(route, name, sent, { via: 'signal' });
      await sleep(POLL_MS);
    },
    plan: (said) => planOf(route, said),
    async begin(plan, stage = 'canary') {
      const input: MigrationInput = {
        start: {
          ...{ migrationId: `${route}-1`, plan: planOf(route, plan), by: 'ana', reason: 'recorded' },
          ...{ stickyKey: 'none', newConversationsOnly: false, shadow: 0, salt: '5a17' },
        },
        carried: null,
        searchAttributes: true,
      };
      const { workflowId } = handle;
      await workflows.start(MIGRATION_WORKFLOW, { taskQueue: TASK_QUEUE, workflowId, args: [input] });
      await until((status) => stage === '' || isClosed(status) || isIn(stage)(status));
    },
  };
  await (SCENES[route] ?? LONG_SCENES[route])?.(scene);
  await handle.result();
  await save(folder, route, handle, workflows);
  await connection.close();
}

const LONGEST_MS = 60_000;

function planOf(route: string, said: object) {
  const fields = { route, lease: '4s', renewal: '500ms', watchHeartbeat: '4s' };
  const probes = { interval: '500ms', timeout: '5s' };
  return parseDocument(planSchema, { ...fields, probes, ...said }, `the plan of ${route}`);
}

/** Every run: `NAME.json` of the first, `NAME-2.json` of the second and so on. */
async function save(
  folder: string,
  route: string,
  handle: WorkflowHandle,
  workflows: Client['workflow'],
): Promise<void> {
  const runs: { readonly text: string; readonly events: number }[] = [];
  for (let runId = (await handle.describe()).runId; runId !== ''; ) {
    const history = await workflows.getHandle(handle.workflowId, runId).fetchHistory();
    const withoutStacks = (key: string, value: unknown) => (key === 'stackTrace' ? '' : value);
    const text = JSON.stringify(JSON.parse(historyToJSON(history), withoutStacks));
    runs.unshift({ text: text.replaceAll(hostname(), 'recorder'), events: history.events?.length ?? 0 });
    runId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? '';
  }
  for (const [index, { text, events }] of runs.entries()) {
    const name = `revision-${REVISION}-${route}${index === 0 ? '' : `-${index + 1}`}`;
    writeFileSync(join(folder, `${name}.json`), `${text}\n`);
    process.stdout.write(`${name}: ${events} events, ${Math.round(text.length / 1024)} KB\n`);
  }
}

main(process.argv[2] ?? '.', process.argv.slice(3)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exitCode = 1;
});
