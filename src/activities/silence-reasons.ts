import type { RosterEntry } from '../core/migration/migration-state';
import type { GatewayStatus } from '../core/routing/routing';
import type { GatewayAnswer } from '../ports';

/** The workflow keeps them. */
const REASON_LENGTH = 200;

/** Why gateways did not answer, or what they refused, by name; nothing of those that answered. */
export function silenceReasons(
  reads: readonly { readonly gateway: RosterEntry; readonly answer: GatewayAnswer<GatewayStatus> }[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    reads.flatMap(({ gateway: { name }, answer }) => {
      if (answer.kind === 'ok') return [];
      if (answer.kind === 'unreachable') return [[name, answer.reason.slice(0, REASON_LENGTH)]];
      const { code, message } = answer.refusal.error;
      return [[name, `${code}: ${message}`.slice(0, REASON_LENGTH)]];
    }),
  );
}
