import { formatShare, stageShareText } from '../../core/plan/plan';
import { formatDuration } from '../../core/text/duration';
import { visibleText } from '../../core/text/visible-text';
import type { Banner } from '../view/banner';
import type { CheckpointLine } from '../view/checkpoint-line';
import { type EvidenceBar, type GateView, type MetricView, toneOf } from '../view/gate-view';
import type { GatewayView } from '../view/gateway-view';
import type { MigrationView } from '../view/migration-view';
import { countText, evidenceNumber, rateText, timeLeftText } from '../view/number-text';
import { outlookText } from '../view/outlook';
import { type Block, stack } from './block';
import { sidesLines } from './sides-table';
import {
  fitLine,
  type Line,
  lineWidth,
  padLine,
  type Style,
  span,
  spread,
  widthOf,
  wrap,
} from './styled-line';

/** What a frame is drawn for. */
export interface FrameOptions {
  readonly columns: number;
  readonly rows: number;
  readonly nowMs: number;
  /** `14:05:31`, in the time zone of whoever looks. */
  readonly timeText: (atMs: number) => string;
  readonly glyphs: Glyphs;
  /** What the keys do, for the last row; absent: no such row. */
  readonly keys?: string;
}

/** The characters that are drawn with. */
export interface Glyphs {
  readonly full: string;
  readonly empty: string;
  readonly done: string;
  readonly now: string;
  readonly next: string;
  /** The stage that a rollback left. */
  readonly ended: string;
  readonly rule: string;
  readonly arrow: string;
  readonly more: string;
}

export const UNICODE: Glyphs = {
  full: '━',
  empty: '─',
  done: '●',
  now: '◉',
  next: '○',
  ended: '⊗',
  rule: '─',
  arrow: '→',
  more: '…',
};

/** For terminals that do not say that they take UTF-8. */
export const ASCII: Glyphs = {
  full: '#',
  empty: '.',
  done: '*',
  now: '@',
  next: 'o',
  ended: 'x',
  rule: '-',
  arrow: '->',
  more: '~',
};

const TWO_COLUMNS_FROM = 76;
/** Where the addresses of gateways are shown. */
const ADDRESSES_FROM = 110;
const COLUMN_GAP = 3;
/** With fewer rows every one of them is for the migration. */
const KEYS_FROM_ROWS = 16;
/** A banner takes no more lines where there are few rows, so that several fit. */
const BANNER_LINES = 2;
const TALL_FROM_ROWS = 36;

/** A migration on a terminal of any size: exactly as many lines as fit, none longer than a row. */
export function drawFrame(view: MigrationView, options: FrameOptions): readonly Line[] {
  const { columns, rows, glyphs } = options;
  const { keys = '' } = options;
  const others = view.banners.filter(({ leads }) => !leads);
  const blocks: Block[] = [
    {
      lines: view.banners.filter(({ leads }) => leads).flatMap((banner) => bannerLines(banner, options)),
      least: 2,
    },
    { lines: [...headLines(view, options), ...stageLines(view, options)], least: 3 },
    { lines: others.flatMap((banner) => bannerLines(banner, options)), least: 4 },
    {
      lines: view.orders
        .filter(({ open }) => open)
        .map(({ label, text }) => [span(`${label}: ${text}`, 'info')]),
      least: 2,
    },
    { lines: clockLines(view, options), least: 1 },
    { lines: middleLines(view, options), least: 5 },
    { lines: view.gateways.map((gateway) => gatewayLine(gateway, view, options)), least: 1 },
    { lines: checkpointLines(view.checkpoints.newest.slice(0, rows), options), least: 1 },
  ];
  const withKeys = keys !== '' && rows >= KEYS_FROM_ROWS;
  const lines = stack(blocks, withKeys ? rows - 1 : rows, glyphs.more);
  if (withKeys) {
    while (lines.length < rows - 1) lines.push([]);
    lines.push([span(keys, 'dim')]);
  }
  return lines.map((line) => fitLine(line, columns, glyphs.more));
}

/** Before anything is known: why. */
export function drawNotice(text: string, { columns, rows, glyphs }: FrameOptions): readonly Line[] {
  return wrap(text, Math.max(1, columns), 'plain')
    .slice(0, rows)
    .map((line) => fitLine(line, columns, glyphs.more));
}

function headLines({ head }: MigrationView, { columns, glyphs }: FrameOptions): Line[] {
  const { route, providers, outcome, phase, stage, shareAsked, share, observedShare, epoch, doing } = head;
  const left: Line = [
    span(route, 'strong'),
    span('  '),
    span(providers.legacy, 'legacy'),
    span(` ${glyphs.arrow} `, 'dim'),
    span(providers.candidate, 'candidate'),
  ];
  const asked =
    shareAsked === share
      ? formatShare(share)
      : `${formatShare(share)} ${glyphs.arrow} ${formatShare(shareAsked)}`;
  const right: Line = [
    span(asked, 'strong'),
    span(` asked, ${observedShare === null ? '–' : rateText(observedShare)} measured  epoch ${epoch}`, 'dim'),
  ];
  const state = outcome ?? (phase === 'observing' ? stage : `${stage}, ${phase}`);
  return [
    ...spread(left, right, columns),
    [span(state, 'strong'), ...(outcome === null ? [span(`  ${doing}`, 'dim')] : [])],
  ];
}

function stageLines({ stages }: MigrationView, { columns, glyphs }: FrameOptions): Line[] {
  const { done, now: current, next, ended } = glyphs;
  const mark = { done, now: current, next, ended };
  const style: Record<keyof typeof mark, Style> = {
    ...{ done: 'candidate', now: 'strong', next: 'dim', ended: 'bad' },
  };
  const rail = stages.flatMap((stage, index) => [
    ...(index === 0 ? [] : [span(` ${glyphs.rule}${glyphs.rule} `, 'dim')]),
    span(mark[stage.state], stage.state === 'now' ? 'candidate' : style[stage.state]),
    span(` ${stage.name} ${stageShareText(stage)}`, style[stage.state]),
  ]);
  if (lineWidth(rail) <= columns) return [rail];
  const at = stages.find(({ state }) => state === 'now' || state === 'ended');
  const marks = stages.map(({ state }) => mark[state]).join('');
  const where = at === undefined ? '' : ` ${at.name} ${stageShareText(at)}`;
  return [[span(marks, 'candidate'), span(where, 'strong')]];
}

const BANNER_STYLES: Readonly<Record<Banner['tone'], Style>> = {
  danger: 'alarm',
  warning: 'warning',
  info: 'info',
  good: 'good',
};

function bannerLines(
  { tone, title, text, sinceMs, facts = [], id }: Banner,
  { columns, rows, nowMs, timeText, glyphs }: FrameOptions,
): Line[] {
  // What is over is told by its time, what goes on by how long it does.
  const since =
    sinceMs === null ? '' : id === 'closed' ? ` ${timeText(sinceMs)}` : `  ${timeLeftText(nowMs - sinceMs)}`;
  const label = tone === 'danger' ? ` ${title} ` : title;
  const head: Line = [span(label, BANNER_STYLES[tone]), span(since, 'dim')];
  const body = [text, ...facts].join(' ').replaceAll('`', '');
  const firstWidth = columns - lineWidth(head) - 2;
  const [first = '', rest] = firstWidth < FIRST_LINE_LEAST ? ['', body] : cutAtWord(body, firstWidth);
  const most = rows < TALL_FROM_ROWS ? BANNER_LINES : Number.POSITIVE_INFINITY;
  const below = wrap(rest, Math.max(1, columns - 2), 'plain');
  const shown = below.slice(0, most - 1);
  const last = shown.at(-1);
  if (shown.length < below.length && last !== undefined) {
    shown[shown.length - 1] = fitLine(
      [...last, span(` ${below[shown.length]?.[0]?.text ?? ''}`)],
      columns - 2,
      glyphs.more,
    );
  }
  return [
    first === '' ? head : [...head, span(`  ${first}`)],
    ...shown.map((line): Line => [span('  '), ...line]),
  ];
}

/** Columns below which a text begins on a line of its own. */
const FIRST_LINE_LEAST = 20;

/** As many words as fit into `width` columns, and the rest. */
function cutAtWord(text: string, width: number): readonly [string, string] {
  const [first] = wrap(text, width, 'plain');
  const head = (first ?? []).map((each) => each.text).join('');
  return widthOf(head) > width ? ['', text] : [head, visibleText(text).slice(head.length).trimStart()];
}

function clockLines({ clock }: MigrationView, { columns, nowMs, glyphs }: FrameOptions): Line[] {
  const { soak, deadlineAtMs, nextPossibleAtMs, outlook } = clock;
  const next: Line[] = outlook === null ? [] : [[span(outlookText(outlook, nowMs, timeLeftText), 'good')]];
  const hours = nextPossibleAtMs === null ? '' : `next possible in ${timeLeftText(nextPossibleAtMs - nowMs)}`;
  const deadline: Line =
    hours !== ''
      ? [span(hours, 'info')]
      : deadlineAtMs === null
        ? []
        : deadlineAtMs > nowMs
          ? [span(`deadline in ${timeLeftText(deadlineAtMs - nowMs)}`, 'dim')]
          : [span(`deadline ${timeLeftText(nowMs - deadlineAtMs)} ago`, 'warning')];
  if (soak === null) return deadline.length === 0 ? next : [deadline, ...next];
  const { observedMs, requiredMs } = soak;
  const leftMs = Math.max(0, requiredMs - observedMs);
  const width = columns < 60 ? 8 : 20;
  const told = `${formatDuration(Math.min(observedMs, requiredMs))} of ${formatDuration(requiredMs)}`;
  const left: Line = [
    span('soak ', 'dim'),
    ...barSpans(Math.min(1, observedMs / requiredMs), width, 'candidate', glyphs),
    span(leftMs === 0 ? ' complete' : ` ${timeLeftText(leftMs)} left`),
    span(`  ${told}`, 'dim'),
  ];
  return [...spread(left, deadline, columns), ...next].filter((line) => line.length > 0);
}

function middleLines(view: MigrationView, options: FrameOptions): Line[] {
  const { columns, glyphs } = options;
  if (columns < TWO_COLUMNS_FROM) {
    return [
      ...sidesLines(view.sides, view.head.providers, columns, glyphs.more),
      ...gateLines(view.gate, columns, options),
    ];
  }
  const leftWidth = Math.max(42, Math.min(52, Math.floor((columns - COLUMN_GAP) * 0.45)));
  const rightWidth = columns - COLUMN_GAP - leftWidth;
  const left = sidesLines(view.sides, view.head.providers, leftWidth, glyphs.more);
  const right = gateLines(view.gate, rightWidth, options);
  // A long sentence gets what is left beside the table, and two lines at least.
  const rows = Math.max(left.length, Math.min(right.length, view.gate.metrics.length + 3));
  return Array.from(
    { length: rows },
    (_, row): Line => [
      ...padLine(left[row] ?? [], leftWidth, glyphs.more),
      span(' '.repeat(COLUMN_GAP)),
      ...fitLine(right[row] ?? [], rightWidth, glyphs.more),
    ],
  );
}

const TONE_STYLES = { good: 'good', bad: 'bad', open: 'plain' } as const;

function gateLines(gate: GateView, width: number, { glyphs }: FrameOptions): Line[] {
  const { outcome, burnIn, sentence, metrics, blockers, usage } = gate;
  const word = burnIn ? 'burn-in' : (outcome ?? 'no verdict yet');
  return [
    [span('gate ', 'dim'), span(word, outcome === null || burnIn ? 'plain' : TONE_STYLES[toneOf(outcome)])],
    ...metricLines(metrics, width, glyphs),
    ...blockers.flatMap((text) => wrap(`blocker: ${text}`, width, 'bad')),
    ...(sentence === '' ? [] : wrap(sentence, width, 'dim')),
    ...usage.flatMap((text) => wrap(text, width, 'dim')),
  ];
}

const BAR_AT_LEAST = 5;

function metricLines(metrics: readonly MetricView[], width: number, glyphs: Glyphs): Line[] {
  const numbersWidth = Math.max(0, ...metrics.map(({ bar }) => (bar === null ? 0 : numbersText(bar).length)));
  const nameWidth = Math.max(8, Math.min(22, width - numbersWidth - BAR_AT_LEAST - 2));
  const barWidth = width - nameWidth - numbersWidth - 2;
  return metrics.map(({ metric, outcome, harm, bar }): Line => {
    const style = TONE_STYLES[toneOf(outcome, harm)];
    const name = padLine([span(metric, style)], nameWidth, glyphs.more);
    if (bar === null)
      return [...name, span(` ${outcome === 'not applicable' ? 'not judged' : outcome}`, style)];
    const tone = bar.toward === 'harm' ? 'bad' : 'good';
    const drawn = barWidth < 3 ? [] : [span(' '), ...barSpans(bar.fraction, barWidth, tone, glyphs)];
    return [...name, ...drawn, span(` ${numbersText(bar)}`, 'dim')];
  });
}

function numbersText({ value, threshold, toward }: EvidenceBar): string {
  const found = value >= 1e6 ? '>1M' : evidenceNumber(value);
  return `${found}/${evidenceNumber(threshold)}${toward === 'harm' ? ' harm' : ''}`;
}

function gatewayLine(
  { name, address, state, note, asked, serving, measured, requests, epoch }: GatewayView,
  view: MigrationView,
  { columns }: FrameOptions,
): Line {
  const widest = Math.max(...view.gateways.map((gateway) => gateway.name.length));
  const style: Style =
    state === 'killed' || state === 'silent' ? 'bad' : state === 'behind' ? 'warning' : 'plain';
  const facts = [
    ...(serving === null
      ? []
      : [`asked ${formatShare(asked)}`, `serves ${formatShare(serving)}`, `measured ${rateText(measured)}`]),
    ...(requests === null ? [] : [`${countText(requests)} requests`]),
    ...(epoch === null ? [] : [`epoch ${epoch}`]),
    ...(note === '' ? [] : [note]),
    ...(address === null || columns < ADDRESSES_FROM ? [] : [`at ${address}`]),
  ];
  const word = state === 'unknown' ? '' : state === 'silent' ? 'no answer' : state;
  return [
    span(name.padEnd(widest), 'strong'),
    span(`  ${word.padEnd(9)} `, style),
    span(facts.join('  '), 'dim'),
  ];
}

function checkpointLines(
  newest: readonly CheckpointLine[],
  { columns, timeText, glyphs }: FrameOptions,
): Line[] {
  const styles = { danger: 'bad', warning: 'warning', good: 'good', info: 'plain', plain: 'plain' } as const;
  const rows = newest.map((line) => ({ ...line, where: whereText(line) }));
  const aligned = columns >= TWO_COLUMNS_FROM;
  const widest = (text: (row: (typeof rows)[number]) => string) =>
    aligned ? Math.max(0, ...rows.map((row) => widthOf(text(row)))) : 0;
  const [whatWidth, whereWidth] = [widest(({ what }) => what), widest(({ where }) => where)];
  return rows.map(({ seq, atMs, what, where, by, why, tone }): Line => {
    const who = [by === '' ? '' : `by ${by}`, why].filter((text) => text !== '').join(': ');
    const cell = (text: string, width: number, style: Style): Line =>
      width === 0 ? [span(text, style)] : padLine([span(text, style)], width, glyphs.more);
    return [
      span(`${String(seq).padStart(3)} ${timeText(atMs)}  `, 'dim'),
      ...cell(what, whatWidth, styles[tone]),
      span('  '),
      ...cell(where, whereWidth, 'plain'),
      span(`  ${who}`, 'dim'),
    ];
  });
}

function whereText({ stage, share, epoch }: CheckpointLine): string {
  return [stage, share, epoch === null ? '' : `epoch ${epoch}`].filter((text) => text !== '').join(' ');
}

function barSpans(fraction: number, width: number, style: Style, glyphs: Glyphs): Line {
  const filled = Math.min(width, Math.max(fraction > 0 ? 1 : 0, Math.round(fraction * width)));
  return [span(glyphs.full.repeat(filled), style), span(glyphs.empty.repeat(width - filled), 'dim')];
}
