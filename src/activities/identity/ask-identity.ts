import { InvalidDocument } from '../../core/configuration/schema-parts';
import {
  type IdentityKnowledge,
  identityStart,
  withIdentityProblem,
  withReply,
} from '../../core/identity/identity-audit';
import { questionAt } from '../../core/identity/identity-questions';
import type { IdentityReference } from '../../core/identity/identity-reference';
import type { ReferencePlan } from '../../core/plan/identity-plan';
import type { Ports } from '../../ports';

/** Where questions about one candidate go. */
export interface IdentityTarget {
  readonly route: string;
  readonly plan: ReferencePlan;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Asks what is next and takes the reply in. */
export async function askNext(
  { identity }: Pick<Ports, 'identity'>,
  { route, plan, timeoutMs, signal }: IdentityTarget,
  reference: IdentityReference,
  standing: IdentityKnowledge,
): Promise<IdentityKnowledge> {
  const question = questionAt(standing.turns);
  const reply = await identity.ask(route, plan.model ?? null, question, { timeoutMs, signal });
  signal.throwIfAborted();
  return withReply(standing, reference, question, reply, identity.draw());
}

/** The reference that a plan names, or why it cannot be used, in one line. */
export async function readReference(
  { identity }: Pick<Ports, 'identity'>,
  plan: ReferencePlan,
): Promise<IdentityReference | { readonly problem: string }> {
  try {
    const reference = await identity.reference(plan.reference);
    const { declared } = plan;
    if (declared === undefined || (reference.declared ?? declared) === declared) return reference;
    return {
      problem: `identity.declared: expected a reference of the declared ${declared}, got one of ${reference.declared}`,
    };
  } catch (error) {
    if (!(error instanceof InvalidDocument)) throw error;
    return { problem: error.message.replace(/\s*\n\s*/g, ' ').slice(0, TOLD_MOST) };
  }
}

const TOLD_MOST = 600;

/**
 * The standing to go on from: what is known by this very reference. Another file under the same name is not taken
 * silently; a plan that names another path begins anew.
 */
export function knowledgeBy(
  reference: IdentityReference,
  path: string,
  known: IdentityKnowledge | null,
): IdentityKnowledge {
  if (known === null || known.path !== path) return identityStart(reference, path);
  if (known.reference === reference.digest) return known;
  return withIdentityProblem(
    known,
    `the reference is another one than before: expected ${known.reference}, got ${reference.digest}`,
  );
}
