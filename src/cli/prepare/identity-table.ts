import { shortDigest } from '../../core/identity/identity-reference';
import { printLine, printTable } from '../options/output';
import type { IdentityAudit } from './identity-audit';

/** Prints an audit, the answer last. */
export function printAudit(audit: IdentityAudit): void {
  const { reference, tokens, differences } = audit;
  printTable(
    ['', 'REFERENCE', 'ASKED'],
    [
      ['provider', reference.provider, audit.provider],
      ['model', reference.model, audit.model],
      ['names itself', '', audit.models.join(', ') || '-'],
      ['fingerprint', '', audit.fingerprints.join(', ') || '-'],
      ...tokens.map(({ reference: count, counted }, index) => [
        `tokens of text ${index + 1}`,
        String(count),
        counted === null ? '-' : String(counted),
      ]),
    ],
  );
  printLine();
  printLine(`reference ${shortDigest(reference.digest)}, enrolled ${reference.enrolledAt}`);
  if (reference.declared !== null) printLine(`declared weights ${reference.declared}`);
  const answers = differences.length > 0 ? differences : [audit.sentence];
  for (const answer of answers) printLine(`${audit.outcome}: ${answer}`);
}
