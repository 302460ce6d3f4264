import {
  type IdentityKnowledge,
  identityEvidence,
  identityProblem,
  sampledAnswers,
  unseenDifference,
} from '../identity/identity-audit';
import { eValueOf, evidenceText, metricVerdict, percentText } from './gate-metric';
import { type JudgedServedModel, type MetricVerdict, SERVED_MODEL } from './verdict';

/**
 * Whether the candidate still is the model of the reference. What a model does not change by itself fails at once, which
 * pauses; a distribution of answers that differs leaves the pass to a person (`servedModelAsks`).
 */
export function judgeServedModel({ standing, alpha }: JudgedServedModel): MetricVerdict {
  const base = { metric: SERVED_MODEL, unit: 'probes', role: 'guardrail and goal' } as const;
  if (standing === null) {
    const sentence = 'identity: nothing has been asked yet';
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence });
  }
  const { answered, events, compared } = standing;
  const problem = identityProblem(standing);
  const { now, peak } = identityEvidence(standing);
  const given = {
    ...base,
    n: { legacy: compared, candidate: answered },
    eValue: eValueOf(Math.log(peak)),
    threshold: 1 / alpha,
  };
  const [event] = events;
  if (event !== undefined) {
    const more = events.length > 1 ? `; and ${events.length - 1} more` : '';
    return metricVerdict({ ...given, outcome: 'fail', sentence: `identity: ${event.sentence}${more}` });
  }
  if (problem !== null) {
    const sentence = `identity: not known, ${problem}`;
    return metricVerdict({ ...given, outcome: 'not evaluated', sentence });
  }
  const evidence = evidenceText(Math.log(differs(standing, alpha) ? peak : now), alpha);
  const sentence = differs(standing, alpha)
    ? `identity: ${answered} answers are distributed differently from those of the reference, ${evidence}`
    : `identity: ${answered} answers like those of the reference, ${evidence}; ${unseenText(standing, alpha)}`;
  return metricVerdict({ ...given, outcome: 'pass', sentence });
}

/** What a named person has to accept before a pass counts: that answers are distributed otherwise. */
export function servedModelAsks(identity: JudgedServedModel): readonly string[] {
  const { standing, alpha } = identity;
  if (standing === null || !differs(standing, alpha)) return [];
  return [judgeServedModel(identity).sentence];
}

/** What so many answers cannot show, in words. */
export function unseenText(standing: IdentityKnowledge, alpha: number): string {
  const part = unseenDifference(sampledAnswers(standing), standing.compared, alpha);
  return part >= 1
    ? 'too few to show another model by its answers'
    : `a model that differs in fewer than about ${percentText(part)} of its answers may go unseen`;
}

function differs(standing: IdentityKnowledge, alpha: number): boolean {
  return identityEvidence(standing).peak >= 1 / alpha;
}
