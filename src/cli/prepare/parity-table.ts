import type { MeasureRow, ParityReport } from '../../core/assessment/parity-report';
import { printLine, printTable } from '../options/output';

const HEAD = ['MEASURE', 'PROMPTS', 'LEGACY ITSELF', 'CANDIDATE', 'LOSS, 95% INTERVAL', 'MARGIN', 'RESULT'];

/** Prints a parity report as tables, the verdict last. */
export function printParity(report: ParityReport, file: string): void {
  const { outcome, sentence, measures, strata, prompts, calls, costUsd, differing, notes, tokens } = report;
  if (measures.length > 0) {
    printTable(HEAD, measures.map(cells));
    printLine();
    printTable(
      ['STRATUM', 'PROMPTS', 'FLIPS OF LEGACY', 'FLIPS OF CANDIDATE', 'LOSS, 95% INTERVAL', 'RESULT'],
      strata.map(stratumCells),
    );
    printLine();
  }
  const trigger = measures.find(({ f1 }) => f1 !== undefined)?.f1;
  if (trigger !== undefined) {
    const [low, high] = trigger.interval;
    printLine(
      `tool trigger F1: candidate ${trigger.candidate.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}), legacy itself ${trigger.self.toFixed(3)}`,
    );
  }
  if (tokens !== null) printLine(tokensText(tokens));
  for (const { id, what } of differing) printLine(`differs: ${id} in ${what}`);
  for (const note of notes) printLine(`note: ${note}`);
  printLine(
    `${prompts.compared} of ${prompts.given} prompts compared, ${calls} answers, ${costUsd.toFixed(4)} USD; answers in ${file}`,
  );
  printLine(`${outcome}: ${sentence}`);
}

function cells(row: MeasureRow): string[] {
  const { measure, prompts, self, candidate, margin, outcome } = row;
  return [
    measure,
    String(prompts),
    percent(self),
    percent(candidate),
    lossText(row),
    percent(margin),
    outcome,
  ];
}

function stratumCells({ stratum, prompts, measures }: ParityReport['strata'][number]): string[] {
  const decisions = measures.find(({ measure }) => measure === 'decisions');
  const failed = measures.filter(({ outcome }) => outcome === 'fail').map(({ measure }) => measure);
  return [
    stratum,
    String(prompts),
    decisions === undefined ? '-' : percent(1 - decisions.self),
    decisions === undefined ? '-' : percent(1 - decisions.candidate),
    decisions === undefined ? '-' : lossText(decisions),
    failed.length === 0 ? (decisions?.outcome ?? '-') : `fail: ${failed.join(', ')}`,
  ];
}

function lossText({ loss, interval: [low, high] }: MeasureRow): string {
  return `${percent(loss)} (${percent(low)} to ${percent(high)})`;
}

function tokensText({ input, output }: NonNullable<ParityReport['tokens']>): string {
  const [least, ratio, most] = [input.least, input.ratio, input.most].map((value) => value.toFixed(2));
  return `tokens for one of legacy's: ${ratio} of input (${least} to ${most} by stratum), ${output.ratio.toFixed(2)} of output; for assess: --parity with this report as --json`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1).replace(/^-0\.0$/, '0.0')}%`;
}
