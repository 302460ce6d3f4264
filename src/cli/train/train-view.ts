import type { TrainingCheckpoint, TrainingDecision } from '../../core/training/fine-tune-state';
import type { TrainingStatus } from '../../core/training/fine-tune-status';
import { gibibytes } from '../../core/training/memory-fit';
import { instantText } from '../options/instant';
import { printLine, printTable } from '../options/output';

/** Where a job stands, in a line. */
export function progressLine({ recipe, step, steps, lastLoss, doing }: TrainingStatus): string {
  const loss = lastLoss === null ? '' : `, loss ${lastLoss.toFixed(4)}`;
  return `${recipe}: step ${step} of ${steps}${loss}; ${doing}`;
}

export function decisionLine({ seq, atMs, what, reason, by }: TrainingDecision): string {
  const why = reason === '' ? '' : `: ${reason}`;
  return `${seq}. ${instantText(atMs)} ${what}${why} (${by})`;
}

/** Prints everything that a status holds. */
export function printTrainingStatus(status: TrainingStatus): void {
  const { trainingId, outcome, facts, memory, exported, held, paused } = status;
  printLine(`${trainingId}${outcome === null ? '' : `, ${outcome}`}`);
  printLine(progressLine(status));
  if (paused !== null) printLine(`paused by ${paused.by}: ${paused.reason}`);
  if (held !== null) printLine(`held: ${held.reason}`);
  if (facts !== null) {
    const { parameters, device, chats, evaluationChats } = facts;
    printLine(`${parameters} parameters on ${device}; ${chats} chats, ${evaluationChats} to evaluate`);
  }
  if (memory !== null) printLine(memoryLine(memory));
  for (const decision of status.decisions) printLine(`  ${decisionLine(decision)}`);
  if (exported !== null) printLine(`exported ${exported.digest} to ${exported.path}`);
}

function memoryLine({ availableBytes, planned, measured }: NonNullable<TrainingStatus['memory']>): string {
  const of = availableBytes === null ? '' : ` of ${gibibytes(availableBytes)}`;
  const seen =
    measured === null
      ? ''
      : `; measured ${gibibytes(measured.liveBytes)} and ${gibibytes(measured.temporaryBytes)}`;
  return `memory${of}: planned ${gibibytes(planned.stateBytes)} of states and ${gibibytes(planned.temporaryBytes)} within a micro-batch${seen}`;
}

/** Prints what was saved, as a table. */
export function printTrainingCheckpoints(checkpoints: readonly TrainingCheckpoint[]): void {
  const rows = checkpoints.map(
    ({ number, atMs, lane, step, settings, lastLoss, secondsPerStep, saturation, digest, path }) => {
      const [worst] = saturation;
      const clipped =
        worst === undefined || worst.overflow === 0
          ? ''
          : `${((100 * worst.overflow) / worst.elements).toFixed(3)}% ${worst.layer} ${worst.operand}`;
      const numbers = [lastLoss.toFixed(4), `${secondsPerStep.toFixed(3)} s`];
      return [
        ...[String(number), instantText(atMs), lane, String(step), settings.recipe],
        ...[...numbers, clipped, digest.slice(0, 12), path],
      ];
    },
  );
  printTable(
    ['NO', 'AT', 'LANE', 'STEP', 'RECIPE', 'LOSS', 'PER STEP', 'MOST CLIPPED', 'DIGEST', 'PATH'],
    rows,
  );
}
