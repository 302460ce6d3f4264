import { NO_PROBES, type ProbeRecord } from '../gates/verdict';
import type { AssessmentSummary } from '../migration/migration-state';
import type { GatewayStatus, StickyKey } from '../routing/routing';
import type { IdentityReading } from './declared-identity';
import type { Finding } from './finding';
import type { HandoverFindings } from './handover-conversation';
import type { IdentityFindings } from './identity-findings';
import type { ParityFindings } from './parity-report';
import type { UsageFindings } from './usage-digest';

/** What a provider said when it was asked for its models. */
export interface ModelsAnswer {
  readonly ok: boolean;
  readonly error: string | null;
  readonly models: readonly string[] | null;
}

/** Whether both providers serve what the route needs, from what they were asked and how their probes went. */
export function assessProviders(facts: {
  readonly mapping: readonly { readonly legacy: string; readonly candidate: string }[];
  readonly legacyModels: ModelsAnswer;
  readonly candidateModels: ModelsAnswer;
  readonly probes: ProbeRecord;
  readonly errors: readonly string[];
  /** The least success rate of the probes, 0 to 1. */
  readonly floor: number;
}): Finding[] {
  const findings: Finding[] = [];
  const { mapping, legacyModels, candidateModels, probes } = facts;
  if (mapping.length === 0) {
    findings.push({ kind: 'blocker', text: 'the route maps no models: nothing of it can be moved' });
  }
  for (const provider of ['legacy', 'candidate'] as const) {
    const answer = provider === 'legacy' ? legacyModels : candidateModels;
    if (!answer.ok) {
      const refused = answer.error?.includes('status_auth') === true;
      findings.push({
        kind: refused && provider === 'candidate' ? 'blocker' : 'doubt',
        text: `${provider} did not list its models: ${answer.error}`,
      });
      continue;
    }
    for (const models of mapping) {
      if (answer.models !== null && !answer.models.includes(models[provider])) {
        findings.push({
          kind: provider === 'candidate' ? 'blocker' : 'warning',
          text: `${provider} does not serve the model "${models[provider]}"`,
        });
      }
    }
    const { probes: sent, failures } = probes[provider];
    if (sent > 0 && 1 - failures / sent < facts.floor) {
      const last = facts.errors.findLast((error) => error.startsWith(provider)) ?? '';
      findings.push({ kind: 'doubt', text: `${failures} of ${sent} probes of ${provider} failed (${last})` });
    }
  }
  return findings;
}

/** Another model than the declared one is never moved to; a list that could not be read is a finding of its own. */
export function identityFindings(reading: IdentityReading | null): Finding[] {
  return reading?.outcome === 'other' ? [{ kind: 'blocker', text: reading.sentence }] : [];
}

const KEYS_LEAST = 200;
const HEAVIEST_MOST = 0.05;

/** Whether assignment by key can split the route's traffic fairly. */
export function assessSplit(stickyKey: StickyKey, statuses: readonly GatewayStatus[]): Finding[] {
  // Beginnings of conversations are keys only where few share them, so they split fairly by themselves.
  const named = statuses.reduce((sum, { keys }) => sum + keys.keyedRequests - (keys.openings?.keyed ?? 0), 0);
  if (stickyKey === 'none' || named === 0) return [];
  const distinct = Math.max(0, ...statuses.map(({ keys }) => keys.distinct));
  const heaviest = Math.max(0, ...statuses.map(({ keys }) => keys.heaviestShare));
  const findings: Finding[] = [];
  if (distinct < KEYS_LEAST) {
    findings.push({
      kind: 'doubt',
      text: `${distinct} assignment keys seen, at least ${KEYS_LEAST} needed: wait for more users, accept with an override of assess, or set stickyKey: none`,
    });
  } else if (heaviest > HEAVIEST_MOST) {
    findings.push({
      kind: 'doubt',
      text: `one assignment key makes ${Math.round(heaviest * 100)}% of the traffic, at most 5% allowed: accept with an override of assess, or set stickyKey: none`,
    });
  }
  return findings;
}

/** Two-sided z above which a salt splits legacy's traffic unevenly (p < 0.001). */
const AA_Z = 3.29;
const AA_LEAST = 1_000;

/** The A/A check of a salt: about half of legacy's keys must fall below one half. */
function isSaltBalanced(statuses: readonly GatewayStatus[]): boolean {
  const low = statuses.reduce((sum, { keys }) => sum + keys.aaLow, 0);
  const total = statuses.reduce((sum, { keys }) => sum + keys.aaTotal, 0);
  return total < AA_LEAST || Math.abs(low - total / 2) / Math.sqrt(total / 4) < AA_Z;
}

/** The assess stage's answer from all findings. */
export function summarise(facts: {
  readonly findings: readonly Finding[];
  readonly probes: ProbeRecord;
  readonly statuses: readonly GatewayStatus[];
  /** What was read of the declared identity; null or absent: none is declared. */
  readonly identity?: IdentityReading | null;
}): AssessmentSummary {
  const texts = (kind: Finding['kind']) =>
    facts.findings.filter((finding) => finding.kind === kind).map(({ text }) => text);
  const blockers = texts('blocker');
  const doubts = texts('doubt');
  const { legacy, candidate } = facts.probes;
  const outcome = blockers.length > 0 ? 'fail' : doubts.length > 0 ? 'inconclusive' : 'pass';
  const same = facts.identity?.outcome === 'same' ? [facts.identity.sentence] : [];
  const passed = `${candidate.probes - candidate.failures} of ${candidate.probes} candidate probes and ${legacy.probes - legacy.failures} of ${legacy.probes} legacy probes passed`;
  return {
    outcome,
    blockers,
    warnings: [...doubts, ...texts('warning')],
    sentence:
      outcome === 'pass'
        ? [passed, 'every mapped model is served', ...same].join('; ')
        : [...blockers, ...doubts].join('; '),
    probes: facts.probes,
    saltBalanced: isSaltBalanced(facts.statuses),
  };
}

/** What is found in the usage logs counts as what is found at the providers: one answer of the stage. */
export function withUsage(providers: AssessmentSummary, usage: UsageFindings): AssessmentSummary {
  return { ...withFindings(providers, usage.findings), usage };
}

/** A summary with what was found elsewhere: in usage logs, by golden prompts, by conversations that were handed over. */
export function withFindings(providers: AssessmentSummary, findings: readonly Finding[]): AssessmentSummary {
  const texts = (kind: Finding['kind']) =>
    findings.filter((finding) => finding.kind === kind).map(({ text }) => text);
  const approvals = findings.flatMap((finding) =>
    finding.kind === 'approval' ? [{ item: finding.item, text: finding.text, asks: finding.asks }] : [],
  );
  const doubts = texts('doubt');
  const blockers = [...texts('blocker'), ...providers.blockers];
  const holding = [...doubts, ...(providers.outcome === 'inconclusive' ? [providers.sentence] : [])];
  const outcome = blockers.length > 0 ? 'fail' : holding.length > 0 ? 'inconclusive' : providers.outcome;
  const sentences = { fail: blockers, inconclusive: holding, pass: [providers.sentence] };
  return {
    ...providers,
    outcome,
    blockers,
    warnings: [...doubts, ...providers.warnings, ...texts('warning')],
    sentence: shortList(sentences[outcome]),
    approvals: [...(providers.approvals ?? []), ...approvals],
  };
}

/** What golden prompts showed counts as well; it is kept while nothing of it may change at another look. */
export function withParity(summary: AssessmentSummary, parity: ParityFindings): AssessmentSummary {
  const found = withFindings(summary, parity.findings);
  return parity.findings.some(({ kind }) => kind === 'doubt') ? found : { ...found, parity };
}

/** Which model the candidate serves counts as well. */
export function withIdentity(summary: AssessmentSummary, identity: IdentityFindings): AssessmentSummary {
  const found = withFindings(summary, identity.findings);
  return identity.findings.some(({ kind }) => kind === 'doubt') ? found : { ...found, identity };
}

/** What handed-over conversations showed counts as well. */
export function withHandover(summary: AssessmentSummary, handover: HandoverFindings): AssessmentSummary {
  const found = withFindings(summary, handover.findings);
  return handover.findings.some(({ kind }) => kind === 'doubt') ? found : { ...found, handover };
}

/** The stage's answer where the usage logs alone reject: no probe is paid for. Null where they do not. */
export function rejectedByUsage(usage: UsageFindings): AssessmentSummary | null {
  if (!usage.findings.some(({ kind }) => kind === 'blocker')) return null;
  const unasked: AssessmentSummary = {
    outcome: 'pass',
    blockers: [],
    warnings: [],
    sentence: '',
    probes: { legacy: NO_PROBES, candidate: NO_PROBES },
    saltBalanced: true,
  };
  return withUsage(unasked, usage);
}

/** Whether findings still hold when the stage is looked at again; a doubt is worth another look at the logs. */
export function isSettled(usage: UsageFindings): boolean {
  return usage.digest !== null && !usage.findings.some(({ kind }) => kind === 'doubt');
}

const LISTED_MOST = 4;

function shortList(texts: readonly string[]): string {
  const rest = texts.length - LISTED_MOST;
  return `${texts.slice(0, LISTED_MOST).join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`;
}
