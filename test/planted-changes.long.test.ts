import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { workflowIdOf } from '../src/contract';
import { installQuietRuntime } from './support/migrations/quiet-runtime';
import { historyOf } from './support/migrations/recorded-history';

// What a changed workflow is refused for would be told at length.
installQuietRuntime();

const SOURCES = join(__dirname, '..', 'src');

/** A change of what is decided, such as a release could make without asking `follows`. */
interface PlantedChange {
  readonly what: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The history whose migration went the way that is changed. */
  readonly history: string;
  /** Of its decisions; 3 when absent. */
  readonly revision?: number;
}

const CHANGES: readonly PlantedChange[] = [
  {
    what: 'nobody is asked which model the candidate serves before it moves',
    file: 'workflows/decisions.ts',
    from: 'if (sold !== null) {',
    to: 'if (false) {',
    history: 'exchanged',
    revision: 5,
  },
  {
    what: 'gateways never hear of a limit that was amended',
    file: 'core/migration/amendment/new-budget.ts',
    from: "return intend(state, { cause: 'budget'",
    to: "if (reason !== '') return state;\n  return intend(state, { cause: 'budget'",
    history: 'raised',
    revision: 5,
  },
  {
    what: 'an advance that reached nobody is waited for',
    file: 'core/migration/push-result.ts',
    from: "pending.cause === 'advance' || pending.cause === 'step' || result.drift !== null",
    to: "pending.cause === 'step' || result.drift !== null",
    history: 'restore',
  },
  {
    what: 'a lowering takes effect with the first who confirms',
    file: 'core/migration/push-result.ts',
    from: 'return missing.length > 0 ? settling :',
    to: 'return missing.length > 1 ? settling :',
    history: 'unverified',
  },
  {
    what: 'a rollback to an earlier stage that meets drift stops there',
    file: 'core/migration/push-result.ts',
    from: 'if (pending.rollback === null) return stopped;',
    to: 'return stopped;',
    history: 'overtaken',
  },
  {
    what: 'a rollback under way covers an emergency',
    file: 'core/migration/routing-change.ts',
    from: 'if (wanted.emergency) return false;',
    to: '',
    history: 'unverified',
  },
  {
    what: 'a fourth lapse pauses, not the third',
    file: 'core/migration/window-result.ts',
    from: 'const LAPSES_A_DAY = 3;',
    to: 'const LAPSES_A_DAY = 4;',
    history: 'lapses',
  },
  {
    what: 'harm is only recorded',
    file: 'core/migration/window-result.ts',
    from: 'if (window.verdict.harm !== null) {',
    to: 'if (window.verdict.harm === null && window.verdict.harm !== null) {',
    history: 'lapses',
  },
  {
    what: 'drift is recorded and pauses nothing',
    file: 'core/migration/window-result.ts',
    from: 'return met.reduce((seen, drift) => pauseForDrift(seen, drift, atMs), told);',
    to: 'return told;',
    history: 'latched',
  },
  {
    what: 'one settled gateway closes the handover',
    file: 'core/migration/window-result.ts',
    from: 'next.roster.every(',
    to: 'next.roster.some(',
    history: 'settled',
  },
  {
    what: 'a gateway that joins is not waited for',
    file: 'core/migration/gateway-roster.ts',
    from: '!left.includes(name)), ...joined];',
    to: '!left.includes(name))];',
    history: 'roster',
  },
  {
    what: 'a gateway that was forgotten is still waited for',
    file: 'core/migration/gateway-roster.ts',
    from: 'roster: told.roster.filter(({ name }) => name !== gateway),',
    to: 'roster: told.roster,',
    history: 'forgotten',
  },
  {
    what: 'a deadline holds nothing',
    file: 'core/migration/stage-exit.ts',
    from: 'if (inStageMs >= holdMs && mayBeHeld(state, stage)) {',
    to: 'if (inStageMs < 0 && mayBeHeld(state, stage)) {',
    history: 'deadlines',
  },
  {
    what: 'a deadline rolls nothing back',
    file: 'core/migration/stage-exit.ts',
    from: 'if (rollbackMs !== null && inStageMs >= rollbackMs) {',
    to: 'if (rollbackMs !== null && inStageMs < 0) {',
    history: 'deadlines',
  },
  {
    what: 'an override waits for a health check',
    file: 'core/migration/stage-exit.ts',
    from: 'if (order.override === true) {',
    to: 'if (order.override === undefined) {',
    history: 'finished',
  },
  {
    what: 'external gates are not asked',
    file: 'core/migration/stage-exit.ts',
    from: 'if (others.length > 0) return askExternalGates(state, others, atMs);',
    to: '',
    history: 'confirmed',
  },
  {
    what: 'an approval is not asked for',
    file: 'core/migration/stage-exit.ts',
    from: 'if (asks.length > 0) return askForApproval(state, asks, atMs);',
    to: '',
    history: 'approved',
  },
  {
    what: 'an approval that expires only holds',
    file: 'core/migration/approval.ts',
    from: "approval.onExpiry === 'roll back' &&",
    to: "approval.onExpiry === 'hold' &&",
    history: 'doubtful',
  },
  {
    what: 'a target that refuses escalates as late as one that is away',
    file: 'core/effects/effect-outcome.ts',
    from: 'attempts === (refused ? 1 : ESCALATED_ATTEMPTS)',
    to: 'attempts === ESCALATED_ATTEMPTS',
    history: 'failing',
  },
  {
    what: 'effects are tried again at once',
    file: 'core/effects/effect-outcome.ts',
    from: 'dueAtMs: atMs + waitMs',
    to: 'dueAtMs: atMs',
    history: 'failing',
  },
  {
    what: 'a rollback leaves effects as they are',
    file: 'core/effects/due-effects.ts',
    from: 'if (routingWentBack(before, after)) state = compensate(state, atMs);',
    to: '',
    history: 'confirmed',
  },
  {
    what: 'an uneven salt is kept',
    file: 'core/migration/migration.ts',
    from: 'if (replaceSalt) {',
    to: 'if (replaceSalt === null) {',
    history: 'doubtful',
  },
  {
    what: 'an assessment in doubt is repeated at once',
    file: 'core/migration/migration.ts',
    from: "outcome === 'inconclusive' ? { atMs: atMs + pauseBeforeAssessing(told), reason: sentence } : null;",
    to: 'null;',
    history: 'doubtful',
  },
  {
    what: 'a health check that fails does not matter',
    file: 'core/migration/migration.ts',
    from: 'if (!healthy) {',
    to: 'if (healthy === undefined) {',
    history: 'hours',
  },
  {
    what: 'rollout hours do not matter',
    file: 'core/migration/migration.ts',
    from: 'if (notBefore !== null) {',
    to: 'if (notBefore === undefined) {',
    history: 'hours',
  },
  {
    what: 'a gateway that cannot be read does not hold up a start',
    file: 'core/migration/migration.ts',
    from: 'if (reading.unreachable.length > 0 || reading.roster.length === 0) {',
    to: 'if (reading.roster.length === 0) {',
    history: 'cancelled',
  },
  {
    what: 'a cancellation is no rollback',
    file: 'core/migration/migration.ts',
    from: "return rollBackToLegacy(state, { by: 'temporal', reason: 'the workflow was cancelled', atMs });",
    to: 'return state;',
    history: 'cancelled',
  },
  {
    what: 'resuming after drift applies nothing',
    file: 'core/migration/command-handling.ts',
    from: 'if (!reapply) return',
    to: 'if (reapply || !reapply) return',
    history: 'latched',
  },
  {
    what: 'the previous checkpoint is the first one',
    file: 'core/migration/command-handling.ts',
    from: 'routingEffectsOf(state).findLast(',
    to: 'routingEffectsOf(state).find(',
    history: 'orders',
  },
  {
    what: 'at complete it rolls back although legacy does not answer',
    file: 'core/migration/automatic-rollback.ts',
    from: 'if (mayRollBackByItself(state))',
    to: 'if (true)',
    history: 'unwell',
  },
  {
    what: 'a run does not end between rounds of a rollback',
    file: 'workflows/migration.ts',
    from: 'return follows(state, 3) && decision.missing !== null;',
    to: 'return false;',
    history: 'waiting',
  },
  {
    what: 'a run hands on ten times as many checkpoints',
    file: 'core/migration/carried-state.ts',
    from: 'const PAGE_BYTES = 48_000;',
    to: 'const PAGE_BYTES = 480_000;',
    history: 'pages',
  },
];

/** The code of a worker whose workflow decides otherwise in one place. */
async function changedBundle({ file, from, to }: PlantedChange): Promise<{ code: string }> {
  const loader = join(__dirname, 'support', 'planted-change-loader.js');
  const path = join(SOURCES, file);
  return bundleWorkflowCode({
    workflowsPath: join(SOURCES, 'workflows', 'index.ts'),
    logger: new DefaultLogger('ERROR'),
    payloadConverterPath: join(SOURCES, 'workflows', 'payload-converter.ts'),
    webpackConfigHook: (config) => ({
      ...config,
      module: {
        ...config.module,
        rules: [
          ...(config.module?.rules ?? []),
          {
            enforce: 'pre',
            test: (source: string) => source === path,
            use: { loader, options: { from, to } },
          },
        ],
      },
    }),
  });
}

it.each(CHANGES)('replay refuses a release in which $what', async (change) => {
  const histories = [
    {
      workflowId: workflowIdOf(change.history),
      history: historyOf(`revision-${change.revision ?? 3}-${change.history}`),
    },
  ];
  const workflowBundle = await changedBundle(change);
  const errors: unknown[] = [];
  for await (const { error } of Worker.runReplayHistories({ workflowBundle }, histories)) errors.push(error);
  expect(errors).toEqual([expect.any(DeterminismViolationError)]);
});
