import { addCohortRows, type CohortCounts, cohortCounts, NO_COHORT } from '../../evidence/stage/stage-cohort';
import { cohortText } from '../../routing/cohort';
import { rateAbove, rateBelow } from '../../statistics/beta-binomial';
import { detect } from '../../statistics/change-detector';
import { priorAbove } from '../../statistics/rate-difference';
import {
  evidenceText,
  goalReached,
  metricVerdict,
  millisecondsText,
  percentText,
  SEEMING,
  shownHarm,
} from '../gate-metric';
import type { JudgingFacts } from '../stage-rates';
import { type MetricVerdict, SHED } from '../verdict';

/** The metric that says how often the candidate failed a cohort's requests. */
export const COHORT_SUCCESS = 'cohort success';

/** How a stage that serves a cohort divides its chance of a false rollback over its bounds. */
const PARTS = { success: 0.5, answers: 0.25, plain: 0.125, streams: 0.125 } as const;
/** The part of the values that may lie above p95. */
const ABOVE_P95 = 0.05;
/** Beyond this part of the answers unchecked, nothing is said of the others. */
const MOST_UNCHECKED = 0.2;

/**
 * A stage that serves a cohort alone: its callers were not drawn, so nothing is compared with legacy. Each of its bounds is
 * a rate that must not exceed a limit, watched from the start and from every window, and a goal that is proven by the
 * opposite bet. Legacy answers what the candidate fails, so callers do not see what is counted here.
 */
export function judgeCohort(judged: JudgingFacts): MetricVerdict[] {
  const { stage } = judged;
  const gate = stage.gates.cohort;
  if (gate === undefined || stage.only === undefined) return [];
  const counts = cohortOf(judged);
  const { requests, failures, checked, breaches, unchecked, plain, slowPlain, streams, slowStreams } = counts;
  const whom = cohortText(stage.only);
  return [
    judgeBound(judged, {
      metric: COHORT_SUCCESS,
      part: 'success',
      limit: 1 - gate.success,
      of: ({ failures: bad, requests: all }) => [bad, all],
      none: `no request of ${whom} has come yet, and nothing else is served here`,
      text: `of ${requests} requests of ${whom} the candidate failed ${failures} (${percentText(failures / requests)}), at most ${percentText(1 - gate.success)} are allowed`,
    }),
    ...(checked + unchecked === 0 && requests > 0
      ? []
      : [
          unchecked > MOST_UNCHECKED * (checked + unchecked)
            ? metricVerdict({
                ...{
                  metric: 'cohort answers',
                  unit: 'rate',
                  role: 'guardrail and goal',
                  outcome: 'not evaluated',
                },
                sentence: `${percentText(unchecked / (checked + unchecked))} of the answers to ${whom} could not be checked, at most ${percentText(MOST_UNCHECKED)} are allowed`,
              })
            : judgeBound(judged, {
                metric: 'cohort answers',
                part: 'answers',
                limit: gate.breaches,
                of: ({ breaches: bad, checked: all }) => [bad, all],
                none: `no answer to ${whom} has been checked yet`,
                text: `of ${checked} answers to ${whom} ${breaches} broke their contract (${percentText(breaches / checked)}), at most ${percentText(gate.breaches)} are allowed`,
              }),
        ]),
    ...(gate.p95Ms === null || plain === 0
      ? []
      : [
          judgeBound(judged, {
            metric: 'cohort p95 of plain answers',
            part: 'plain',
            limit: ABOVE_P95,
            of: ({ slowPlain: bad, plain: all }) => [bad, all],
            none: '',
            text: slowText('plain answers', slowPlain, plain, gate.p95Ms),
          }),
        ]),
    ...(gate.firstTokenP95Ms === null || streams === 0
      ? []
      : [
          judgeBound(judged, {
            metric: 'cohort p95 to first token',
            part: 'streams',
            limit: ABOVE_P95,
            of: ({ slowStreams: bad, streams: all }) => [bad, all],
            none: '',
            text: slowText('first tokens', slowStreams, streams, gate.firstTokenP95Ms),
          }),
        ]),
    ...judgeCohortShed(judged, counts),
    minimumRequests(judged, counts),
  ];
}

/** What was counted of the cohort since the stage was entered. */
export function cohortOf({ evidence: { cohort = NO_COHORT } }: Pick<JudgingFacts, 'evidence'>): CohortCounts {
  return cohortCounts(cohort.segments.map(({ evidence }) => evidence).reduce(addCohortRows, []));
}

interface Bound {
  readonly metric: string;
  readonly part: keyof typeof PARTS;
  /** The rate that must not be exceeded. */
  readonly limit: number;
  readonly of: (counts: CohortCounts) => readonly [bad: number, all: number];
  /** What is said while there is nothing to judge. */
  readonly none: string;
  readonly text: string;
}

function judgeBound(
  { stage, evidence }: JudgingFacts,
  { metric, part, limit, of, none, text }: Bound,
): MetricVerdict {
  const { cohort = NO_COHORT } = evidence;
  const [bad, all] = of(cohortOf({ evidence }));
  const base = {
    ...({ metric, unit: 'rate', role: 'guardrail and goal', margin: limit } as const),
    n: { legacy: 0, candidate: all },
    candidate: all === 0 ? null : bad / all,
  } as const;
  if (all === 0) return metricVerdict({ ...base, outcome: 'not evaluated', sentence: none });
  const above = rateAbove(limit, priorAbove(limit));
  const logHarm = detect(cohort, addCohortRows, (since) => above(...of(cohortCounts(since))));
  const alpha = stage.alpha.rollback * PARTS[part];
  if (logHarm >= -Math.log(alpha)) {
    return metricVerdict({
      ...base,
      ...shownHarm(logHarm, alpha),
      sentence: `${text}, ${evidenceText(logHarm, alpha)}`,
    });
  }
  const mean = limit / 4;
  const logWithin = rateBelow(limit, { mean, strength: 1 / mean })(bad, all);
  const seems = logHarm >= SEEMING;
  return metricVerdict({
    ...base,
    ...goalReached(logWithin, stage.alpha.promotion, null, seems),
    sentence: `${text}, ${evidenceText(logWithin, stage.alpha.promotion)}${seems ? '; apparently beyond it' : ''}`,
  });
}

function slowText(what: string, slow: number, all: number, boundMs: number): string {
  return `of ${all} ${what} ${slow} took longer than ${millisecondsText(boundMs)} (${percentText(slow / all)}), at most ${percentText(ABOVE_P95)} are allowed`;
}

/** Callers of the cohort whom the candidate took nothing from: served by legacy, so the stage shows less than it seems. */
function judgeCohortShed({ stage }: JudgingFacts, { shed, requests }: CohortCounts): MetricVerdict[] {
  const pausePart = stage.gates.shed?.pausePart ?? 0;
  if (shed === 0) return [];
  const part = shed / (shed + requests);
  // Closed for a while is one event, however many requests come meanwhile.
  const pauses = part > pausePart && shed >= SHED_LEAST;
  return [
    metricVerdict({
      ...{ metric: SHED, unit: 'rate', role: 'guardrail and goal', margin: pausePart, candidate: part },
      n: { legacy: 0, candidate: shed },
      outcome: part <= pausePart ? 'pass' : pauses ? 'fail' : 'inconclusive',
      sentence: `${percentText(part)} of the cohort's requests could not be sent to the candidate (breaker, cap or its own Retry-After), at most ${percentText(pausePart)} may be`,
    }),
  ];
}

const SHED_LEAST = 20;

function minimumRequests({ stage }: JudgingFacts, { requests }: CohortCounts): MetricVerdict {
  return metricVerdict({
    metric: 'minimum sample',
    unit: 'requests',
    role: 'goal',
    outcome: requests >= stage.minimumSample ? 'pass' : 'inconclusive',
    n: { legacy: 0, candidate: requests },
    candidate: requests,
    margin: stage.minimumSample,
    sentence: `${requests} of ${stage.minimumSample} requests of the cohort`,
  });
}
