import { callersText, moneyText } from '../../core/evidence/tally-text';
import { withoutEvidence } from '../../core/gates/harm-text';
import type { EndCause } from '../../core/migration/end-cause';
import type { MigrationStatus } from '../../core/migration/status';
import { formatShare } from '../../core/plan/plan';
import type { AdminError } from '../../core/routing/routing';
import { formatDuration } from '../../core/text/duration';
import type { GatewaySighting } from './gateway-view';
import { type Trouble, troubleTitle } from './trouble';

export type BannerTone = 'danger' | 'warning' | 'info' | 'good';

/** One thing that whoever looks must not miss; texts come from people and providers and are no markup. */
export interface Banner {
  readonly id: string;
  readonly tone: BannerTone;
  readonly title: string;
  readonly text: string;
  readonly sinceMs: number | null;
  /** Stands before everything else: how it ended, or that it goes back. */
  readonly leads?: true;
  /** Nothing moves on by itself before somebody has seen to it. */
  readonly blocks?: true;
  /** What whoever looks asks next, a sentence each. Absent: nothing. */
  readonly facts?: readonly string[];
}

/** Everything to be told at the top of a screen, the gravest first. */
export function bannersOf(
  status: MigrationStatus,
  gateways: readonly GatewaySighting[],
  trouble: Trouble | null,
): readonly Banner[] {
  const found = [
    ...troubleBanner(status.route, trouble),
    ...killBanners(status, gateways),
    ...driftBanner(status),
    ...rollbackBanner(status),
    ...pauseBanner(status),
    ...heldBanner(status),
    ...approvalBanner(status),
    ...hoursBanner(status),
    ...effectBanners(status),
    ...handoverBanner(status),
    ...silenceBanner(status, gateways),
    ...probeBanners(status),
    ...unreadableBanner(status),
    ...closedBanner(status),
  ];
  const grave: readonly BannerTone[] = ['danger', 'warning', 'info', 'good'];
  return found.sort((a, b) => grave.indexOf(a.tone) - grave.indexOf(b.tone));
}

function troubleBanner(route: string, trouble: Trouble | null): Banner[] {
  if (trouble === null) return [];
  const { message, sinceMs } = trouble;
  const way = ` What is shown may be old. \`cutover kill ${route}\` takes the candidate off without Temporal.`;
  return [
    {
      id: 'trouble',
      tone: 'danger',
      title: troubleTitle(trouble),
      text: `${sentence(message)}${way}`,
      sinceMs,
      blocks: true,
    },
  ];
}

function killBanners(status: MigrationStatus, gateways: readonly GatewaySighting[]): Banner[] {
  const { drift, route } = status;
  const latches = gateways.flatMap(({ name, status: answer }) =>
    answer?.kind === 'ok' && answer.value.kill !== null ? [{ name, kill: answer.value.kill }] : [],
  );
  if (drift?.kill != null && !latches.some(({ name }) => name === drift.gateway)) {
    latches.push({ name: drift.gateway, kill: drift.kill });
  }
  return latches.map(({ name, kill }) => ({
    id: `kill ${name}`,
    tone: 'danger',
    title: `Kill switch set at ${name}`,
    text: `By ${kill.by}${because(kill.reason)} No candidate traffic there. \`cutover kill ${route} --clear\` clears it, then resume with reapply.`,
    sinceMs: instantOf(kill.at),
  }));
}

function driftBanner({ drift }: MigrationStatus): Banner[] {
  if (drift === null || drift.kill !== null) return [];
  const text = `${sentence(`${drift.kind}: ${drift.detail}`)} Nothing is overwritten; resume with reapply puts our routing back.`;
  return [{ id: 'drift', tone: 'danger', title: `Drift at ${drift.gateway}`, text, sinceMs: null }];
}

function rollbackBanner(status: MigrationStatus): Banner[] {
  const { phase, pending, checkpoints, lastCheckpoints, ending = null } = status;
  if (phase !== 'rolling back') return [];
  const intent = lastCheckpoints.findLast((entry) => entry.kind === 'intended');
  const waiting =
    pending === null || pending.missing.length === 0
      ? 'Being verified.'
      : `Not confirmed yet: ${pending.missing.join(', ')}.`;
  const why =
    ending !== null
      ? endingText(ending)
      : intent?.kind === 'intended'
        ? `By ${intent.by}${because(intent.reason)}`
        : '';
  return [
    {
      id: 'rolling back',
      tone: 'danger',
      title: `Rolling back to ${formatShare(pending?.share ?? 0)}`,
      text: `${why} ${waiting} Checkpoint ${pending?.checkpoint ?? checkpoints}.`,
      sinceMs: intent?.atMs ?? null,
      leads: true,
    },
  ];
}

function pauseBanner({ paused }: MigrationStatus): Banner[] {
  if (paused === null) return [];
  const { by, cause, reason, atMs } = paused;
  const who = cause === 'operator' ? `By ${by}` : `By ${by}, because of ${cause}`;
  const text = `${who}${because(reason)} The stage is still watched, and harm still rolls back.`;
  return [{ id: 'paused', tone: 'warning', title: 'Paused', text, sinceMs: atMs }];
}

function heldBanner({ held }: MigrationStatus): Banner[] {
  if (held === null) return [];
  const text = sentence(withoutEvidence(held.reason));
  const title = 'Held: reevaluate, promote with a reason, or roll back';
  return [{ id: 'held', tone: 'warning', title, text, sinceMs: held.atMs }];
}

/** Statuses of older workers lack what was added later. */
function approvalBanner(status: MigrationStatus): Banner[] {
  const approval = status.approval ?? null;
  if (approval === null) return [];
  const { asks, granted, checkpoint, askedAtMs, expiresAtMs, onExpiry } = approval;
  if (granted !== null) {
    const text = `By ${granted.by}${because(granted.reason)}`;
    return [{ id: 'approval', tone: 'info', title: 'Approved', text, sinceMs: granted.atMs }];
  }
  const end = `${new Date(expiresAtMs).toISOString().slice(0, 16).replace('T', ' ')}Z`;
  const text = `${capital(sentence(asks.map(withoutEvidence).join('; ')))} Checkpoint ${checkpoint} asks; without an answer by ${end} ${EXPIRED[onExpiry]}.`;
  const title = 'Approval needed: approve, or decline by pausing or rolling back';
  return [{ id: 'approval', tone: 'warning', title, text, sinceMs: askedAtMs }];
}

const EXPIRED = { hold: 'the stage is held', 'roll back': 'the migration is rolled back' } as const;

function hoursBanner(status: MigrationStatus): Banner[] {
  const nextMs = status.nextPossibleAtMs ?? null;
  if (nextMs === null) return [];
  const text = 'The share is not raised now; a rollback never waits.';
  return [{ id: 'hours', tone: 'info', title: 'Outside the rollout hours', text, sinceMs: null }];
}

const EFFECTS_TOLD = 4;

/** Effects that are only on their way are told together; one that fails is a warning by itself. */
function effectBanners(status: MigrationStatus): Banner[] {
  const open = status.effects ?? [];
  const failing = open.filter(({ lastError }) => lastError !== null);
  const waiting = open.filter(({ lastError }) => lastError === null);
  return [
    ...failing.slice(0, EFFECTS_TOLD).map(
      ({ name, purpose, stage, attempts, lastError, sinceMs }): Banner => ({
        id: `effect ${name} ${sinceMs}`,
        tone: 'warning',
        title: `Effect pending: ${name}`,
        text: `${purpose}, ${stage}; tried ${attempts} ${attempts === 1 ? 'time' : 'times'}: ${sentence(lastError ?? '')}`,
        sinceMs,
      }),
    ),
    ...(waiting.length === 0
      ? []
      : [
          {
            id: 'effects',
            tone: 'info',
            title: 'Effects under way',
            text: sentence(waiting.map(({ name, purpose }) => `${name} (${purpose})`).join(', ')),
            sinceMs: waiting[0]?.sinceMs ?? null,
          } as const,
        ]),
  ];
}

function handoverBanner({ phase, roster, settled }: MigrationStatus): Banner[] {
  if (phase !== 'handover') return [];
  const open = roster.filter((name) => !settled.includes(name));
  const text =
    open.length === 0
      ? 'Every gateway is settled.'
      : `Set \`settled: candidate\` in the configuration of ${open.join(', ')}; the migration then closes on its own.`;
  return [{ id: 'handover', tone: 'info', title: 'Handover', text, sinceMs: null }];
}

function silenceBanner(status: MigrationStatus, gateways: readonly GatewaySighting[]): Banner[] {
  if (status.phase === 'closed') return [];
  const refused = gateways.flatMap(({ name, status: answer }) =>
    answer?.kind === 'refused' ? [`${name} (${codeOf(answer.refusal)})`] : [],
  );
  const silent = gateways.flatMap(({ name, status: answer }) =>
    answer?.kind === 'unreachable' ? [name] : [],
  );
  const named = [...new Set([...status.unreachable, ...silent])];
  if (named.length + refused.length === 0) return [];
  const [only] = named;
  const restart =
    named.length === 1
      ? `: start it again, or \`cutover forget ${only}\` if it is gone for good.`
      : ': start them again, or `cutover forget NAME` for one that is gone for good.';
  const text = [
    ...(named.length === 0 ? [] : [`No answer from ${named.join(', ')}${restart}`]),
    ...(refused.length === 0 ? [] : [`Refused by ${refused.join(', ')}: \`cutover doctor\` says why.`]),
    'The numbers leave them out.',
  ].join(' ');
  const title = 'Gateways that do not answer';
  return [{ id: 'silent gateways', tone: 'warning', title, text, sinceMs: null, blocks: true }];
}

/** A probe that fails once may be chance. */
const FAILED_IN_A_ROW_LEAST = 2;

/** A provider that does not answer at all: nothing passes meanwhile, and without legacy callers fail as well. */
function probeBanners({ probes, phase }: MigrationStatus): Banner[] {
  if (phase !== 'observing' && phase !== 'handover') return [];
  return (['legacy', 'candidate'] as const).flatMap((provider): Banner[] => {
    const { failedInARow } = probes[provider];
    if (failedInARow < FAILED_IN_A_ROW_LEAST) return [];
    const too = provider === 'legacy' ? ' Callers that legacy serves may be failing, too.' : '';
    return [
      {
        id: `probes ${provider}`,
        tone: 'warning',
        title: `Probes of ${provider} fail`,
        text: `The last ${failedInARow} failed; nothing passes before they succeed. \`cutover doctor\` says what is wrong.${too}`,
        sinceMs: null,
        blocks: true,
      },
    ];
  });
}

function unreadableBanner({ badMessages }: MigrationStatus): Banner[] {
  const last = badMessages.last.at(-1);
  if (badMessages.count === 0 || last === undefined) return [];
  const text = `${badMessages.count} in all; the last, ${last.name}: ${sentence(last.problem)}`;
  return [{ id: 'unreadable', tone: 'info', title: 'Messages that could not be read', text, sinceMs: null }];
}

function closedBanner(status: MigrationStatus): Banner[] {
  const { route, phase, outcome, lastCheckpoints, endedByTemporal, ending = null } = status;
  if (endedByTemporal !== undefined) {
    const text = `Nobody watches it any more. Leases run out; a pinned share keeps serving the candidate. \`cutover kill ${route}\` takes the candidate off.`;
    return [{ id: 'ended', tone: 'danger', title: `Its run was ${endedByTemporal}`, text, sinceMs: null }];
  }
  if (phase !== 'closed' || outcome === null) return [];
  const last = lastCheckpoints.at(-1);
  const recorded = last?.kind === 'recorded' && last.reason !== '' ? sentence(last.reason) : '';
  const text = ending === null ? recorded : endingText(ending);
  const titles = { completed: 'Completed', 'rolled back': 'Rolled back', rejected: 'Rejected' };
  const tone = outcome === 'completed' ? 'good' : 'warning';
  const facts = ending === null ? [] : factsOf(status, ending);
  const sinceMs = ending?.atMs ?? last?.atMs ?? null;
  return [{ id: 'closed', tone, title: titles[outcome], text, sinceMs, facts, leads: true }];
}

/** What callers felt, what it cost, how long it took. */
function factsOf({ traffic, startedAtMs }: MigrationStatus, { atMs, stage, what }: EndCause): string[] {
  const where = what === 'completed' ? '' : `, ended in ${stage}`;
  return [
    callersText(traffic) ?? '',
    moneyText(traffic) ?? '',
    `took ${formatDuration(atMs - startedAtMs)}${where}`,
  ]
    .filter((fact) => fact !== '')
    .map((fact) => sentence(capital(fact)));
}

/** Why it ended or goes back, with what was verified: the title says what it is. */
function endingText({ by, cause, verified }: EndCause): string {
  const why = by === null ? sentence(capital(cause)) : `By ${by}: ${sentence(cause)}`;
  return verified === '' ? why : `${why} ${sentence(capital(verified))}`;
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function codeOf(refusal: AdminError): string {
  return refusal.error.code;
}

function because(reason: string): string {
  return reason === '' ? '.' : `: ${sentence(reason)}`;
}

function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

function instantOf(iso: string): number | null {
  const atMs = Date.parse(iso);
  return Number.isNaN(atMs) ? null : atMs;
}
