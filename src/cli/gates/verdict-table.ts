import type { GateVerdict, MetricVerdict } from '../../core/gates/verdict';
import { breachTexts, metricSentence, metricTexts } from '../../core/gates/verdict-text';
import { printLine, printTable } from '../options/output';

/** Prints every number of a verdict's metrics, then what each says. */
export function printMetrics({ metrics }: Pick<GateVerdict, 'metrics'>): void {
  printTable(
    [
      ...['METRIC', 'VERDICT', 'ROLE', 'N (LEGACY / CANDIDATE)', 'LEGACY', 'CANDIDATE', 'ESTIMATE'],
      ...['95% INTERVAL', 'E-VALUE', 'MARGIN', 'MORE REQUESTS'],
    ],
    metrics.map(row),
  );
  printLine();
  for (const metric of metrics) {
    printLine(`${metric.metric}: ${metricSentence(metric)}${metric.harm ? ' (HARM)' : ''}`);
    for (const { what, candidate, legacy } of breachTexts(metric)) {
      printLine(`  ${what}: ${candidate || 'none'} against ${legacy || 'none'}`);
    }
  }
}

function row(metric: MetricVerdict): string[] {
  const texts = metricTexts(metric);
  const cells = [
    ...[texts.n, texts.legacy, texts.candidate, texts.estimate, texts.interval],
    ...[texts.evidence, texts.margin, texts.more],
  ];
  const { metric: name, outcome, harm, role = '' } = metric;
  return [name, harm ? `${outcome}, harm` : outcome, role, ...cells.map((cell) => cell || '-')];
}
