import { percentText } from './gate-metric';
import { type GateVerdict, type MetricVerdict, PAIRS } from './verdict';

/** A window's verdict with its number since the stage was entered, from 1. */
export type NumberedVerdict = Pick<GateVerdict, 'stage' | 'epoch' | 'harm' | 'metrics' | 'sentence'> & {
  readonly window: number;
};

/**
 * What a candidate did wrong and since when, with the numbers of the windows that decided: `success fell to 66% (46 of
 * 70) since window 15 of rolling, floor 80%`. `windows` end with the one that asked for the rollback; those of other
 * entries into a stage are left out. Metrics that this text does not know say what their verdict says.
 */
export function harmText(windows: readonly NumberedVerdict[]): string {
  const last = windows.at(-1);
  if (last === undefined) return 'harm';
  const visit = windows.filter(({ epoch, stage }) => epoch === last.epoch && stage === last.stage);
  const metric = last.metrics.find(({ metric: name }) => name === last.harm);
  if (metric === undefined)
    return `${withoutEvidence(last.sentence)} (window ${last.window} of ${last.stage})`;
  const counts = countsOf(visit, metric.metric);
  const total = counts.at(-1);
  const isPaired = metric.metric.startsWith(PAIRS);
  if (metric.unit !== 'rate' || isPaired || total === undefined || total.candidate.requests === 0) {
    return `${withoutEvidence(metric.sentence)} (${spanText(visit, last)})`;
  }
  const from = startOfHarm(counts);
  const since = from === null ? total : less(total, from);
  const when = sinceText(from === null ? 1 : from.window + 1, last);
  const { candidate, legacy } = since;
  if (metric.metric === 'floor') {
    const answered = { events: candidate.requests - candidate.events, requests: candidate.requests };
    return `success fell to ${rateText(answered)} ${when}${metric.margin === null ? '' : `, floor ${percentText(metric.margin)}`}`;
  }
  const way = legacy !== null && rate(candidate) < rate(legacy) ? 'fell' : 'rose';
  const compared = legacy === null || legacy.requests === 0 ? '' : `, at legacy ${rateText(legacy)}`;
  return `${metric.metric} ${way} to ${rateText(candidate)} ${when}${compared}`;
}

/** Events among requests. */
interface EventCount {
  readonly events: number;
  readonly requests: number;
}

/** What a metric had counted up to the end of a window. */
interface CountsThen {
  readonly window: number;
  readonly candidate: EventCount;
  readonly legacy: EventCount | null;
}

/** A metric's counts at the end of each window; a floor's events are what failed. */
function countsOf(visit: readonly NumberedVerdict[], name: string): readonly CountsThen[] {
  return visit.flatMap(({ window, metrics }) => {
    const metric = metrics.find((each) => each.metric === name);
    if (metric === undefined || metric.candidate === null) return [];
    const part = name === 'floor' ? 1 - metric.candidate : metric.candidate;
    return [{ window, candidate: eventCount(part, metric.n.candidate), legacy: legacyOf(metric) }];
  });
}

function legacyOf({ legacy, n, metric }: MetricVerdict): EventCount | null {
  return legacy === null || metric === 'floor' ? null : eventCount(legacy, n.legacy);
}

function eventCount(part: number, requests: number): EventCount {
  return { events: Math.round(part * requests), requests };
}

function less(total: CountsThen, before: CountsThen): CountsThen {
  const minus = (a: EventCount, b: EventCount) => ({
    events: a.events - b.events,
    requests: a.requests - b.requests,
  });
  return {
    window: total.window,
    candidate: minus(total.candidate, before.candidate),
    legacy: total.legacy === null || before.legacy === null ? null : minus(total.legacy, before.legacy),
  };
}

/** Natural log of how much likelier a change has to be than none before it is named. */
const LEAST_GAIN = 3;

/**
 * The window after which the candidate changed, as the counts up to it; null where it was like that from the start. The
 * likeliest change of a rate: of all splits the one whose two parts differ most, by their likelihood ratio.
 */
function startOfHarm(counts: readonly CountsThen[]): CountsThen | null {
  const total = counts.at(-1);
  if (total === undefined) return null;
  const whole = logLikelihood(total.candidate);
  let best: { readonly then: CountsThen; readonly gain: number } | null = null;
  for (const then of counts.slice(0, -1)) {
    const { candidate } = less(total, then);
    // Counters that ran backwards, or a rate that became better: no change to name.
    if (!isCount(candidate) || !isCount(then.candidate) || rate(candidate) <= rate(then.candidate)) continue;
    const gain = logLikelihood(candidate) + logLikelihood(then.candidate) - whole;
    if (gain >= LEAST_GAIN && (best === null || gain > best.gain)) best = { then, gain };
  }
  return best?.then ?? null;
}

function isCount({ events, requests }: EventCount): boolean {
  return requests > 0 && events >= 0 && events <= requests;
}

function logLikelihood({ events, requests }: EventCount): number {
  const term = (count: number) => (count === 0 ? 0 : count * Math.log(count / requests));
  return term(events) + term(requests - events);
}

function rate({ events, requests }: EventCount): number {
  return requests === 0 ? 0 : events / requests;
}

function rateText(counts: EventCount): string {
  return `${percentText(rate(counts))} (${counts.events.toLocaleString('en-US')} of ${counts.requests.toLocaleString('en-US')})`;
}

function sinceText(window: number, last: NumberedVerdict): string {
  if (window >= last.window) return `in window ${last.window} of ${last.stage}`;
  return window === 1 ? `since ${last.stage} began` : `since window ${window} of ${last.stage}`;
}

function spanText(visit: readonly NumberedVerdict[], last: NumberedVerdict): string {
  const many = visit.length > 1 ? `windows 1 to ${last.window}` : `window ${last.window}`;
  return `${many} of ${last.stage}`;
}

/** The sentence of a verdict without its evidence, which is for whoever audits it. */
export function withoutEvidence(sentence: string): string {
  return saidOnce(
    sentence
      .replace(
        /,? ?(?:evidence of harm )?e-value [\w,.]+(?: a million)? of [\d,.]+ needed(?: \([^)]*\))?/g,
        '',
      )
      .replace(/[:;,] *$/, ''),
  );
}

/** Why a stage is held, without saying again by its verdict that it has not passed; records keep both. */
export function saidOnce(reason: string): string {
  return reason
    .replace(
      /: \S+ is in burn-in: recorded, not judged$/,
      ': it is still in burn-in, where nothing is judged',
    )
    .replace(/: \S+ is (?:inconclusive|not evaluated|not within its limits): /, ': ')
    .replace(/( has not passed.*?): not evaluated$/, '$1: no window has ended yet');
}
