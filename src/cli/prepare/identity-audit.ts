import type { AskableModel } from '../../adapters/identity-files';
import { judgeServedModel, servedModelAsks, unseenText } from '../../core/gates/judge-served-model';
import {
  contextEvent,
  type IdentityKnowledge,
  identityEvidence,
  identityProblem,
  identityStart,
  sampledAnswers,
  unseenDifference,
  withIdentityEvent,
  withReply,
} from '../../core/identity/identity-audit';
import { questionAt } from '../../core/identity/identity-questions';
import type { IdentityReference } from '../../core/identity/identity-reference';

/** What an audit came to. */
export interface IdentityAudit {
  readonly outcome: 'same' | 'differs' | 'not evaluated';
  readonly sentence: string;
  readonly provider: string;
  readonly model: string;
  /** What the reference is of, and its digest. */
  readonly reference: Pick<IdentityReference, 'provider' | 'model' | 'digest' | 'declared' | 'enrolledAt'>;
  readonly asked: number;
  readonly answered: number;
  readonly differences: readonly string[];
  /** Input tokens of the fixed texts: as the reference has them, and as they were counted. */
  readonly tokens: readonly { readonly reference: number; readonly counted: number | null }[];
  /** Against the same model, by how answers are distributed; `needed` decides. */
  readonly eValue: number;
  readonly needed: number;
  /** A model that answers differently in less than this part of its answers would not be seen; 0 to 1. */
  readonly unseen: number;
  readonly unseenText: string;
  readonly models: readonly string[];
  readonly fingerprints: readonly string[];
}

export interface AuditOptions {
  readonly path: string;
  readonly probes: number;
  readonly alpha: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly draw: () => number;
  readonly progress: (asked: number, all: number) => void;
}

/** Answers missing from the start end an audit: the rest would be missing as well. */
const TRIED_IN_VAIN = 5;

/** Asks a model and compares; ends early once it differs, or when nothing is answered. */
export async function auditModel(
  model: AskableModel,
  reference: IdentityReference,
  { path, probes, alpha, timeoutMs, signal, draw, progress }: AuditOptions,
): Promise<IdentityAudit> {
  let standing = identityStart(reference, path);
  const isOver = () =>
    standing.turns >= probes ||
    (standing.answered === 0 && standing.turns >= TRIED_IN_VAIN) ||
    identityEvidence(standing).peak >= 1 / alpha;
  while (!isOver()) {
    const question = questionAt(standing.turns);
    const reply = await model.ask(question, { timeoutMs, signal });
    signal.throwIfAborted();
    standing = withReply(standing, reference, question, reply, draw());
    progress(standing.turns, probes);
    if (question.kind === 'fixed' && standing.events.length > 0) break;
  }
  const event = contextEvent(reference, await model.contextTokens({ timeoutMs, signal }));
  const known = event === null ? standing : withIdentityEvent(standing, event);
  return auditOf(model, reference, known, alpha);
}

function auditOf(
  { provider, model }: AskableModel,
  reference: IdentityReference,
  standing: IdentityKnowledge,
  alpha: number,
): IdentityAudit {
  const { turns, answered, events, models, fingerprints, compared } = standing;
  const asks = servedModelAsks({ standing, alpha });
  const differences = [...events.map(({ sentence }) => sentence), ...asks];
  const outcome =
    differences.length > 0 ? 'differs' : identityProblem(standing) === null ? 'same' : 'not evaluated';
  return {
    outcome,
    sentence: judgeServedModel({ standing, alpha }).sentence,
    ...{ provider, model },
    reference: {
      provider: reference.provider,
      model: reference.model,
      digest: reference.digest,
      declared: reference.declared,
      enrolledAt: reference.enrolledAt,
    },
    ...{ asked: turns, answered, differences },
    tokens: reference.fixed.map((count, index) => ({
      reference: count,
      counted: standing.tokens[index] ?? null,
    })),
    eValue: identityEvidence(standing).peak,
    needed: 1 / alpha,
    unseen: unseenDifference(sampledAnswers(standing), compared, alpha),
    unseenText: unseenText(standing, alpha),
    ...{ models, fingerprints },
  };
}
