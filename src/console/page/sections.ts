import { BREACH_TEXTS } from '../../core/gates/verdict-text';
import { formatShare, stageShareText } from '../../core/plan/plan';
import { rampText } from '../../core/plan/ramp';
import { formatDuration } from '../../core/text/duration';
import type { ProviderNames } from '../view/action';
import type { ArmsView, ArmView, CohortView } from '../view/arm-view';
import { type EvidenceBar, type GateView, type MetricView, toneOf } from '../view/gate-view';
import type { GatewayView } from '../view/gateway-view';
import type { ClockView, HeadView, MigrationView } from '../view/migration-view';
import {
  countText,
  evidenceNumber,
  latencyText,
  rateText,
  shortCountText,
  timeLeftText,
  usdText,
} from '../view/number-text';
import type { OrderView } from '../view/order';
import { outlookText } from '../view/outlook';
import { bar, type Child, h } from './element';
import { ago, moment, ticking } from './moment';

/** Route, providers, and the one number that matters: the candidate's share. */
export function headElement(head: HeadView): HTMLElement {
  const { route, migrationId, providers, outcome, stage, phase, shareAsked, share, observedShare, epoch } =
    head;
  const state = outcome ?? (phase === 'observing' ? stage : `${stage}, ${phase}`);
  const change = shareAsked === share ? null : `from ${formatShare(share)}`;
  const measured =
    outcome === 'rolled back'
      ? `all at ${providers.legacy}`
      : observedShare === null
        ? 'not measured yet'
        : `${rateText(observedShare)} measured`;
  return h(
    'div',
    { class: 'head-row' },
    h(
      'div',
      {},
      h('h1', {}, route),
      h(
        'p',
        { class: 'providers' },
        h('span', { class: 'legacy-name' }, providers.legacy),
        h('span', { class: 'arrow', 'aria-label': 'to' }, ' → '),
        h('span', { class: 'candidate-name' }, providers.candidate),
      ),
      h(
        'p',
        { class: 'doing' },
        h('span', { class: 'state' }, state),
        // The banner says how it ended.
        outcome === null && ` · ${head.doing}`,
      ),
      h('p', { class: 'facts' }, migrationId, ` · epoch ${epoch} · started `, ago(head.startedAtMs)),
    ),
    h(
      'div',
      { class: 'share' },
      h('span', { class: 'share-number' }, formatShare(shareAsked)),
      h('span', { class: 'share-note' }, [change, measured].filter((text) => text !== null).join(', ')),
    ),
  );
}

/** The stages from left to right: done, now, next. */
export function stageRail({ stages, head }: Pick<MigrationView, 'stages' | 'head'>): HTMLElement {
  const words = { done: 'done', now: 'now', next: 'next', ended: 'ended here' } as const;
  return h(
    'ol',
    { class: `rail ${head.outcome === 'completed' ? 'completed' : ''}` },
    ...stages.map((stage) => {
      const { name, state } = stage;
      return h(
        'li',
        { class: `stage ${state}`, 'aria-current': state === 'now' ? 'step' : null },
        h('span', { class: 'stage-dot', 'aria-hidden': 'true' }),
        h('span', { class: 'stage-name' }, name),
        h(
          'span',
          { class: 'stage-share' },
          stageShareText(stage),
          h('span', { class: 'unseen' }, `, ${words[state]}`),
        ),
      );
    }),
  );
}

/** What happens next by itself, time left in the soak and to the deadline. */
export function clockElement(clock: ClockView): HTMLElement | null {
  const { soak, ramp, deadlineAtMs, deadlineThen = 'deadline', nextPossibleAtMs, outlook } = clock;
  if (soak === null && deadlineAtMs === null && nextPossibleAtMs === null) return null;
  const parts: Child[] = [];
  if (outlook !== null) {
    const text = () => outlookText(outlook, Date.now(), timeLeftText);
    parts.push(h('div', { class: 'outlook' }, ticking(text)));
  }
  if (ramp !== undefined) {
    const { observedMs, everyMs } = ramp;
    parts.push(
      h(
        'div',
        { class: 'clock-soak' },
        bar(Math.min(1, observedMs / everyMs), 'soak', `ramp: ${rampText(ramp)}`),
        h('span', { class: 'number' }, `ramp, step ${ramp.step} of ${ramp.of}`),
        h('span', { class: 'quiet' }, rampText(ramp)),
      ),
    );
  } else if (soak !== null) {
    const { observedMs, requiredMs, windows } = soak;
    const leftMs = Math.max(0, requiredMs - observedMs);
    // As of the last window; where the outlook counts the same time down, two numbers would contradict each other.
    const counted = outlook?.atMs != null;
    const left = leftMs === 0 ? 'soak complete' : counted ? 'soak' : `${timeLeftText(leftMs)} of soak left`;
    const told = `${formatDuration(Math.min(observedMs, requiredMs))} of ${formatDuration(requiredMs)} in ${windows === 1 ? '1 window' : `${windows} windows`}`;
    parts.push(
      h(
        'div',
        { class: 'clock-soak' },
        bar(Math.min(1, observedMs / requiredMs), 'soak', `soak: ${told}`),
        h('span', { class: 'number' }, left),
        h('span', { class: 'quiet' }, told),
      ),
    );
  }
  if (deadlineAtMs !== null) {
    const text = () => {
      const leftMs = deadlineAtMs - Date.now();
      return leftMs > 0
        ? `${deadlineThen} in ${timeLeftText(leftMs)} unless it passes`
        : `${deadlineThen} due ${timeLeftText(-leftMs)} ago`;
    };
    parts.push(
      h(
        'div',
        { class: 'clock-deadline' },
        ticking(text),
        h('span', { class: 'quiet' }, moment(deadlineAtMs)),
      ),
    );
  }
  if (nextPossibleAtMs !== null) {
    const text = () => `next possible in ${timeLeftText(nextPossibleAtMs - Date.now())}`;
    parts.push(h('div', {}, ticking(text), h('span', { class: 'quiet' }, moment(nextPossibleAtMs))));
  }
  return h('div', { class: 'clock' }, ...parts);
}

/** Both providers side by side. */
export function armsElement(arms: ArmsView, providers: ProviderNames): HTMLElement {
  const rows: [string, (arm: ArmView) => Child][] = [
    ['Requests', ({ requests }) => countText(requests)],
    ['Errors', errorsCell],
    ['Broken answers', brokenAnswersCell],
    ['Plain answers, p50', ({ plain }) => latencyText(plain?.p50Ms ?? null)],
    ['Plain answers, p95', ({ plain }) => latencyText(plain?.p95Ms ?? null)],
    ['First token, p50', ({ firstToken }) => latencyText(firstToken?.p50Ms ?? null)],
    ['First token, p95', ({ firstToken }) => latencyText(firstToken?.p95Ms ?? null)],
    ['Between tokens, p95', ({ interTokenP95Ms }) => latencyText(interTokenP95Ms)],
    ['Tokens in, out', tokensText],
    ['Cost', costText],
    ['Probes', ({ probes }) => probesText(probes)],
  ];
  const { legacy, candidate, source, rescued, cohort } = arms;
  const empty = (cell: Child) => cell === '–';
  const ofArms = rows
    .map(([name, cell]): [string, Child, Child] => [name, cell(legacy), cell(candidate)])
    .filter(([, ...cells]) => !cells.every(empty));
  const ofCohort = cohort === undefined ? [] : rows.filter(([name]) => name !== 'Probes');
  const shown = [
    ...ofArms,
    ...ofCohort
      .map(([name, cell]): [string, Child, Child] => [
        `Cohort: ${name.toLowerCase()}`,
        '–',
        cell((cohort as CohortView).side),
      ])
      .filter(([, , cell]) => !empty(cell)),
  ];
  const notes = {
    gateways: `Counted by the gateways since epoch ${arms.epoch} began.`,
    verdict: 'As judged in the last window; the gateways are not read.',
    none: 'No requests under this epoch yet.',
  };
  return h(
    'div',
    {},
    h(
      'table',
      { class: 'sides' },
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Measure')),
          h(
            'th',
            { scope: 'col', title: providers.legacy },
            h('span', { class: 'key legacy' }),
            providers.legacy,
          ),
          h(
            'th',
            { scope: 'col', title: providers.candidate },
            h('span', { class: 'key candidate' }),
            providers.candidate,
          ),
        ),
      ),
      h(
        'tbody',
        {},
        ...shown.map(([name, ...cells]) =>
          h('tr', {}, h('th', { scope: 'row' }, name), ...cells.map((cell) => h('td', {}, cell))),
        ),
      ),
    ),
    h(
      'p',
      { class: 'note' },
      notes[source],
      cohort !== undefined &&
        ` The cohort is ${cohort.whom}: counted outside both arms, and nobody else is served by ${providers.candidate}.`,
      rescued !== null && rescued > 0
        ? ` ${countText(rescued)} ${rescued === 1 ? 'request' : 'requests'} that the candidate failed ${rescued === 1 ? 'was' : 'were'} answered by ${providers.legacy}.`
        : '',
    ),
  );
}

function errorsCell({ errorRate, failures, failuresByClass }: ArmView): Child {
  if (errorRate === null) return '–';
  const classes = failuresByClass.map(({ name, count }) => `${name.replace('_', ' ')} ${countText(count)}`);
  return h(
    'span',
    { class: 'errors' },
    rateText(errorRate),
    failures !== null && failures > 0 && h('span', { class: 'classes' }, classes.join(', ')),
  );
}

function brokenAnswersCell({ breachRate, breachesByClass, unchecked }: ArmView): Child {
  if (breachRate === null) return '–';
  const counts = [
    ...breachesByClass.map(({ name, count }) => `${BREACH_TEXTS[name]} ${countText(count)}`),
    ...(unchecked === null || unchecked === 0 ? [] : [`not checked ${countText(unchecked)}`]),
  ];
  return h(
    'span',
    { class: 'errors' },
    rateText(breachRate),
    counts.length > 0 && h('span', { class: 'classes' }, counts.join(', ')),
  );
}

function tokensText({ tokensIn, tokensOut }: ArmView): string {
  if (tokensIn === null || tokensOut === null || tokensIn + tokensOut === 0) return '–';
  return `${shortCountText(tokensIn)}, ${shortCountText(tokensOut)}`;
}

function costText({ costUsd, costPerRequestUsd }: ArmView): string {
  if (costPerRequestUsd === null) return '–';
  const each = `${usdText(costPerRequestUsd)} per request`;
  return costUsd === null ? each : `${usdText(costUsd)}, ${each}`;
}

function probesText({ all, failed, failedInARow }: ArmView['probes']): string {
  if (all === 0) return '–';
  if (failed === 0) return `${countText(all)} passed`;
  const streak = failedInARow === 0 ? '' : `, the last ${failedInARow} in a row`;
  return `${countText(failed)} of ${countText(all)} failed${streak}`;
}

/** The gate's word, then a bar a metric. */
export function gateElements(gate: GateView): Child[] {
  const { outcome, word, isNeutral, sentence, metrics, blockers, warnings, usage } = gate;
  return [
    h('p', { class: 'verdict' }, h('span', { class: `chip ${isNeutral ? 'open' : toneOf(outcome)}` }, word)),
    sentence !== '' && h('p', { class: 'sentence' }, sentence),
    ...usage.map((text) => h('p', { class: 'sentence' }, text)),
    ...blockers.map((text) => h('p', { class: 'sentence bad' }, `Blocker: ${text}`)),
    ...warnings.map((text) => h('p', { class: 'sentence' }, `Warning: ${text}`)),
    metrics.length > 0 && h('ul', { class: 'metrics' }, ...metrics.map(metricElement)),
  ];
}

function metricElement({ metric, outcome, harm, sentence, bar: evidence }: MetricView): HTMLElement {
  const tone = toneOf(outcome, harm);
  const word = harm ? 'harm' : outcome === 'not applicable' ? 'watched' : outcome;
  return h(
    'li',
    { class: 'metric', title: sentence },
    h('span', { class: 'metric-name' }, metric),
    h('span', { class: `metric-word ${tone}` }, word),
    ...(evidence === null
      ? [h('span', { class: 'metric-sentence' }, sentence)]
      : [
          bar(
            evidence.fraction,
            evidence.toward === 'harm' ? 'harm' : 'pass',
            `${metric}: ${neededText(evidence)}`,
          ),
          h('span', { class: 'metric-numbers', title: evidenceHelp(evidence) }, neededText(evidence)),
        ]),
  );
}

function neededText({ kind, toward, value, threshold }: EvidenceBar): string {
  const [found, needed] = [evidenceNumber(value), evidenceNumber(threshold)];
  // Of a count that was reached "453 of 3" would say the opposite of enough.
  if (kind === 'count')
    return value < threshold ? `${found} of ${needed} needed` : `${found}, ${needed} needed`;
  return `evidence${toward === 'harm' ? ' of harm' : ''} ${found} of ${needed} needed`;
}

/** An e-value in plain words, for whoever points at one. */
function evidenceHelp({ kind, toward, value, threshold }: EvidenceBar): string {
  if (kind === 'count') return '';
  const [found, needed] = [evidenceNumber(value), evidenceNumber(threshold)];
  const end = toward === 'harm' ? 'harm is shown' : 'the metric passes';
  return `Evidence ${found} of ${needed} needed. It is an e-value: 1 says nothing; at ${needed} ${end}, and chance alone gets it there in fewer than 1 of ${needed} cases.`;
}

const STATE_WORDS: Readonly<Record<GatewayView['state'], string>> = {
  'as asked': 'as asked',
  changing: 'changing',
  behind: 'behind',
  killed: 'killed',
  silent: 'no answer',
  unknown: 'not asked',
};

const STATE_TONES: Readonly<Record<GatewayView['state'], string>> = {
  'as asked': 'good',
  changing: 'info',
  behind: 'warning',
  killed: 'bad',
  silent: 'bad',
  unknown: 'open',
};

/** Share asked and measured at each gateway. */
export function gatewayRows(gateways: readonly GatewayView[]): HTMLElement {
  if (gateways.length === 0) return h('p', { class: 'note' }, 'No gateway is known yet.');
  return h(
    'ul',
    { class: 'gateways' },
    ...gateways.map(({ name, address, state, note, asked, serving, measured, requests, epoch, lease }) =>
      h(
        'li',
        { class: 'gateway' },
        h('span', { class: 'gateway-name' }, name),
        h('span', { class: `chip ${STATE_TONES[state]}` }, STATE_WORDS[state]),
        serving !== null &&
          h(
            'span',
            { class: 'gateway-shares' },
            bar(measured ?? 0, 'candidate', `measured share at ${name}: ${rateText(measured)}`),
            h('span', {}, `asked ${formatShare(asked)}`),
            h('span', {}, `serves ${formatShare(serving)}`),
            h('span', {}, `measured ${rateText(measured)}`),
          ),
        h(
          'span',
          { class: 'gateway-note' },
          [
            address ?? '',
            requests === null ? '' : `${countText(requests)} requests`,
            epoch === null ? '' : `epoch ${epoch}`,
            lease === null || lease === 'running' ? '' : lease === 'pinned' ? 'pinned' : 'no lease',
            note,
          ]
            .filter((text) => text !== '')
            .join(' · '),
        ),
      ),
    ),
  );
}

/** A command that was sent, and what has become of it. */
export function orderElement({ label, by, atMs, open, tone, text }: OrderView): HTMLElement {
  return h(
    'div',
    { class: `order ${tone}` },
    open && h('span', { class: 'spinner', 'aria-hidden': 'true' }),
    h('strong', {}, label),
    h('span', { class: 'since' }, `by ${by}, `, moment(atMs)),
    h('p', {}, text),
  );
}
