import type { HeadView } from '../view/migration-view';
import { latencyText, rateText } from '../view/number-text';
import type { Column, SeriesView } from '../view/series';
import { fill, h } from './element';
import { type ChartLine, type ChartModel, LineChart } from './line-chart';

/** The four charts of a migration; one without data is not shown. */
export class Charts {
  readonly element = h('section', { class: 'card charts' });
  readonly #grid = h('div', { class: 'chart-grid' });
  readonly #empty = h('p', { class: 'note' }, 'Charts begin with the first window.');
  readonly #charts = {
    share: new LineChart('Share of the traffic', rateText),
    errors: new LineChart('Errors', rateText),
    plain: new LineChart('p95 of plain answers', latencyText),
    firstToken: new LineChart('p95 to first token', latencyText),
    evidence: new LineChart('Evidence, as a part of what decides', rateText, true),
  };

  constructor() {
    fill(this.#grid, ...Object.values(this.#charts).map(({ element }) => element));
    fill(this.element, h('h2', {}, 'Over the windows'), this.#empty, this.#grid);
  }

  update(series: SeriesView, { providers, phase }: HeadView): void {
    const { atMs, errors, plainP95, firstTokenP95, evidence } = series;
    const linesOf = (pair: { legacy: Column; candidate: Column }): ChartLine[] => [
      { label: providers.legacy, colour: 'legacy', values: pair.legacy },
      { label: providers.candidate, colour: 'candidate', values: pair.candidate },
    ];
    this.#charts.share.show(shareModel(series, phase !== 'closed'));
    this.#charts.errors.show({ atMs, lines: linesOf(errors), least: 0.01 });
    this.#charts.plain.show({ atMs, lines: linesOf(plainP95), least: 10 });
    this.#charts.firstToken.show({ atMs, lines: linesOf(firstTokenP95), least: 10 });
    this.#charts.evidence.show({
      atMs,
      most: 1,
      lines: evidence.map(({ metric, toward, fractions }, index) => {
        const before = evidence.slice(0, index).filter((line) => line.toward === toward).length;
        return {
          label: toward === 'harm' ? `${metric} (harm)` : metric,
          colour: toward,
          dash: DASHES[before % DASHES.length] ?? [],
          values: fractions,
        };
      }),
    });
    const anything = Object.values(this.#charts).some(({ isShown }) => isShown);
    this.#empty.hidden = anything;
  }
}

/** Lines of one colour are told apart by their dashes. */
const DASHES: readonly (readonly number[])[] = [[], [6, 4], [2, 3], [10, 4, 2, 4], [1, 5], [12, 6]];

/** What was asked, as steps up to now, and what the windows measured. */
function shareModel({ atMs, asked, observed }: SeriesView, goesOn: boolean): ChartModel {
  const moments = [
    ...new Set([...asked.map((step) => step.atMs), ...atMs, ...(goesOn ? [Date.now()] : [])]),
  ].sort((a, b) => a - b);
  const measured = new Map(atMs.map((at, index) => [at, observed[index] ?? null]));
  return {
    atMs: moments,
    least: 0.2,
    lines: [
      {
        label: 'asked',
        colour: 'quiet',
        stepped: true,
        values: moments.map((at) => asked.findLast((step) => step.atMs <= at)?.share ?? null),
      },
      { label: 'measured', colour: 'candidate', values: moments.map((at) => measured.get(at) ?? null) },
    ],
  };
}
