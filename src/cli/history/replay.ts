import type { Command } from 'commander';
import { loadPlan } from '../../client/plan-file';
import { formatShare } from '../../core/plan/plan';
import { type DecidedStage, type ReplayedStage, replayPlan } from '../../core/rehearsal/replay-plan';
import { formatDuration } from '../../core/text/duration';
import { CliError, EXIT } from '../options/cli-error';
import { withConnection } from '../options/connection';
import { printJson, printLine, printTable } from '../options/output';
import { type HistoryFlags, migrationOf, withHistory } from './history-source';

interface ReplayFlags extends HistoryFlags {
  readonly route?: string;
}

/** Adds `cutover replay`: what another plan would have decided. */
export function registerReplay(program: Command): void {
  withHistory(
    withConnection(
      program
        .command('replay')
        .description("what another plan would have decided on a past migration's recorded evidence")
        .argument('<plan>', 'the other plan, YAML or JSON'),
    ),
  )
    .option('--route <name>', "whose newest migration (default: the plan's route)")
    .addHelpText(
      'after',
      '\nA stage is judged on the evidence recorded for the stage with its name, or else with the nearest share. That evidence\n' +
        'was gathered at the recorded share and after the recorded burn-in. Where the recorded stage ended first, the other\n' +
        'plan stays undecided. Exit code 5: it would have decided differently.\n' +
        '\nExamples:\n  cutover replay strict.yaml --history chat.json\n  cutover replay plan.yaml --route chat --json',
    )
    .action(runReplay);
}

async function runReplay(file: string, flags: ReplayFlags): Promise<void> {
  const plan = loadPlan(file);
  // A file says itself which route it is of; another plan may be for another route.
  const route = flags.route ?? (flags.history === undefined ? plan.route : undefined);
  const migration = await migrationOf(route, flags);
  const { stages, withoutEvidence } = replayPlan(plan, migration.windows);
  if (stages.length === 0) {
    throw new CliError(
      `expected windows with candidate traffic in the history of ${migration.migrationId}, it has none`,
      EXIT.badInput,
    );
  }
  if (flags.json === true) {
    printJson({
      migrationId: migration.migrationId,
      route: migration.route,
      plan: file,
      stages,
      withoutEvidence,
    });
  } else {
    printLine(`${migration.migrationId} by ${file}:`);
    printTable(['STAGE', 'EVIDENCE OF', 'WINDOWS', 'IT DID', 'THE PLAN WOULD', 'WHY'], stages.map(row));
    for (const name of withoutEvidence) printLine(`${name}: no evidence was recorded for it`);
  }
  const other = stages.filter(
    ({ reached, recorded, replayed }) => reached && recorded.decision !== replayed.decision,
  );
  if (other.length > 0) {
    throw new CliError(
      `it would have decided differently in ${other.map(({ recordedStage }) => recordedStage).join(', ')}`,
      EXIT.negative,
    );
  }
}

function row(stage: ReplayedStage): string[] {
  return [
    stage.stage,
    `${stage.recordedStage} at ${formatShare(stage.recordedShare)}, epoch ${stage.epoch}`,
    String(stage.windows),
    decisionText(stage.recorded),
    stage.reached ? decisionText(stage.replayed) : 'not be reached',
    stage.replayed.sentence,
  ];
}

function decisionText({ decision, window, afterMs, candidateRequests }: DecidedStage): string {
  return `${decision} after window ${window} (${formatDuration(afterMs)}, ${candidateRequests} candidate requests)`;
}
