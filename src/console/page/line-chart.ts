import type uPlotClass from 'uplot';
import type { Column } from '../view/series';
import { fill, h } from './element';

/** One line of a chart; colours are names of the style sheet. */
export interface ChartLine {
  readonly label: string;
  readonly colour: 'legacy' | 'candidate' | 'quiet' | 'pass' | 'harm';
  readonly values: Column;
  readonly dash?: readonly number[];
  readonly stepped?: boolean;
}

export interface ChartModel {
  readonly atMs: readonly number[];
  readonly lines: readonly ChartLine[];
  /** The axis reaches at least so far up. */
  readonly least?: number;
  /** The axis ends here. */
  readonly most?: number;
}

/** The chart library's own script, loaded before this one. */
const { uPlot } = globalThis as unknown as { readonly uPlot: typeof uPlotClass };

const HEIGHT_PX = 148;
const darkness = window.matchMedia('(prefers-color-scheme: dark)');

/** Lines over time, with their newest values, or those under the pointer, as text above. */
export class LineChart {
  readonly element = h('figure', { class: 'chart' });
  readonly #text: (value: number | null) => string;
  readonly #legend = h('div', { class: 'chart-legend' });
  readonly #canvas = h('div', { class: 'chart-canvas', 'aria-hidden': 'true' });
  #plot: uPlotClass | null = null;
  #shape = '';
  #model: ChartModel = { atMs: [], lines: [] };

  constructor(title: string, text: (value: number | null) => string, wide = false) {
    this.#text = text;
    if (wide) this.element.classList.add('wide');
    this.element.hidden = true;
    fill(this.element, h('figcaption', {}, title), this.#legend, this.#canvas);
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    darkness.addEventListener('change', () => this.#draw(true));
  }

  get isShown(): boolean {
    return !this.element.hidden;
  }

  show(model: ChartModel): void {
    this.#model = {
      ...model,
      lines: model.lines.filter(({ values }) => values.some((value) => value !== null)),
    };
    this.element.hidden = this.#model.lines.length === 0;
    if (!this.element.hidden) this.#draw(false);
  }

  #draw(anew: boolean): void {
    const { atMs, lines } = this.#model;
    if (lines.length === 0) return;
    const data = [atMs.map((at) => at / 1_000), ...lines.map(({ values }) => [...values])];
    const shape = JSON.stringify(lines.map(({ label, colour, dash }) => [label, colour, dash]));
    if (anew || shape !== this.#shape || this.#plot === null) {
      this.#plot?.destroy();
      this.#shape = shape;
      this.#plot = new uPlot(this.#options(), data as unknown as uPlotClass.AlignedData, this.#canvas);
    } else this.#plot.setData(data as unknown as uPlotClass.AlignedData);
    this.#tell(null);
  }

  #options(): uPlotClass.Options {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const font = `11px ${style.getPropertyValue('--font').trim()}`;
    const axis = { stroke: colour('muted'), font, ticks: { show: false }, gap: 6 } as const;
    const { lines, least = 0, most } = this.#model;
    const several = this.#model.atMs.length > 1;
    return {
      width: Math.max(120, this.#canvas.clientWidth),
      height: HEIGHT_PX,
      padding: [12, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (_plot, _low, high) => [0, topOf(most ?? Math.max(least, high ?? 0))] } },
      axes: [
        { ...axis, size: 26, grid: { show: false }, space: 76, values: (_plot, splits) => timeTicks(splits) },
        {
          ...axis,
          size: 52,
          space: 26,
          splits: (_plot, _axis, _low, high) => ticksOf(high),
          grid: { stroke: colour('line'), width: 1 },
          values: (_plot, splits) => splits.map((value) => this.#text(value)),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, colour: name, dash = [], stepped = false }): uPlotClass.Series => {
          const paths = stepped ? uPlot.paths.stepped?.({ align: 1 }) : undefined;
          return {
            label,
            stroke: colour(name),
            width: name === 'quiet' ? 1.5 : 2,
            dash: [...dash],
            spanGaps: true,
            points: { show: !several },
            ...(paths === undefined ? {} : { paths }),
          };
        }),
      ],
      hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx ?? null)] },
    };
  }

  /** Values at an index as text; the newest of each line without one. */
  #tell(index: number | null): void {
    const { lines, atMs } = this.#model;
    const at = index === null ? undefined : atMs[index];
    fill(
      this.#legend,
      ...lines.map(({ label, colour, dash = [], values }) => {
        const value =
          index === null ? (values.findLast((one) => one !== null) ?? null) : (values[index] ?? null);
        return h(
          'span',
          { class: 'chart-key' },
          keyLine(colour, dash),
          `${label} `,
          h('span', { class: 'number' }, this.#text(value)),
        );
      }),
      at !== undefined && h('span', { class: 'quiet' }, new Date(at).toLocaleTimeString('en-GB')),
    );
  }

  #fit(): void {
    const width = this.#canvas.clientWidth;
    if (this.#plot !== null && width > 0 && width !== this.#plot.width) {
      this.#plot.setSize({ width, height: HEIGHT_PX });
    }
  }
}

const SVG = 'http://www.w3.org/2000/svg';
const KEY_WIDTH_PX = 28;

/** A piece of the line as the chart draws it: several of one colour differ by their dashes alone. */
function keyLine(colour: ChartLine['colour'], dash: readonly number[]): SVGElement {
  const element = (name: string, attributes: Readonly<Record<string, string | number>>) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    return made;
  };
  const svg = element('svg', {
    ...{ class: `key-line ${colour}`, width: KEY_WIDTH_PX, height: 3, 'aria-hidden': 'true' },
  });
  svg.append(
    element('line', {
      ...{ x1: 0, x2: KEY_WIDTH_PX, y1: 1.5, y2: 1.5 },
      ...(dash.length === 0 ? {} : { 'stroke-dasharray': dash.join(' ') }),
    }),
  );
  return svg;
}

/** Ticks on an axis from 0, none of them odd numbers. */
const TICKS_MOST = 5;
/** Above the highest tick, so that a line that lies on it is drawn whole. */
const HEADROOM = 1.04;

function stepOf(high: number): number {
  const rough = high / (TICKS_MOST - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10) * power;
}

/** Where an axis ends that shows `high`: a little above a tick. */
function topOf(high: number): number {
  if (high <= 0) return 1;
  const step = stepOf(high);
  return Math.ceil((high / step) * 0.999) * step * HEADROOM;
}

function ticksOf(top: number): number[] {
  const high = top / HEADROOM;
  const step = stepOf(high);
  return Array.from({ length: Math.round(high / step) + 1 }, (_, index) => index * step);
}

const DAY_S = 86_400;

/** Seconds only where the ticks are close, days only where they are far. */
function timeTicks(splits: readonly number[]): string[] {
  const stepS = (splits[1] ?? 0) - (splits[0] ?? 0);
  return splits.map((atS) => {
    const date = new Date(atS * 1_000);
    if (stepS >= DAY_S) return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
    return date.toLocaleTimeString('en-GB', {
      hour: '2-digit',
      minute: '2-digit',
      ...(stepS < 60 ? { second: '2-digit' } : {}),
    });
  });
}
