import { probeSummary } from '../../core/assessment/probe-streak';
import { usageLines } from '../../core/assessment/usage-digest';
import { saidOnce } from '../../core/gates/harm-text';
import { verdictLine } from '../../core/gates/verdict-text';
import { headlineOf, utcMinuteText } from '../../core/migration/end-cause';
import { withReasons } from '../../core/migration/gateway-roster';
import { openApproval } from '../../core/migration/migration-state';
import type { MigrationStatus } from '../../core/migration/status';
import { formatShare, stageShareText } from '../../core/plan/plan';
import { rampText } from '../../core/plan/ramp';
import { contradiction, keysText, servingText } from '../../core/routing/gateway-status-text';
import { formatDuration } from '../../core/text/duration';
import { instantText } from '../options/instant';
import type { GatewayAnswers } from './gateway-answers';

/** A status as a page of lines for a terminal. */
export function statusLines(status: MigrationStatus, answers: GatewayAnswers): string[] {
  const { pending, paused, held, drift, badMessages, refusals, settled } = status;
  const { nextPossibleAtMs, effects, usage } = status;
  const rows: [string, string | null][] = [
    ['migration', `${status.migrationId}, ${status.outcome ?? status.endedByTemporal ?? status.phase}`],
    ['stages', status.stages.map(stageText).join(' > ')],
    ['share', shareText(status)],
    ['epoch', `${status.epoch} (checkpoint ${status.inEffect ?? 'none'} of ${status.checkpoints})`],
    ['changing', pending === null ? null : pendingText(pending)],
    ['ramp', status.ramp === undefined ? null : rampText(status.ramp)],
    // The handover has no soak: its windows go on until every gateway is settled.
    ['soak', status.phase === 'handover' ? null : soakInWindows(status)],
    ['verdict', verdictText(status)],
    ['probes', probesText(status)],
    ...(usage === null ? [] : usageLines(usage)).map((line, at): [string, string] => [
      at === 0 ? 'logs' : '',
      line,
    ]),
    ['paused', paused === null ? null : `by ${paused.by} (${paused.cause})${because(paused.reason)}`],
    ['held', held === null ? null : saidOnce(held.reason)],
    ['approval', approvalText(status)],
    ['next', nextPossibleAtMs === null ? null : `possible at ${instantText(nextPossibleAtMs)}`],
    ...effects.map((run): [string, string] => ['effect', effectText(run)]),
    ['drift', drift === null ? null : `${drift.gateway}: ${drift.kind}: ${drift.detail}`],
    ['deadline', deadlineText(status)],
    ['gateways', gatewaysText(status)],
    ['forgotten', status.forgotten?.join(', ') || null],
    ['unreachable', withReasons(status) || null],
    ['settled', settled.join(', ') || null],
    ['refused', refusals.map(({ name, by, message }) => `${name} by ${by}: ${message}`).at(-1) ?? null],
    ['unreadable', badMessages.count === 0 ? null : `${badMessages.count} messages`],
    ['doing', status.doing],
    ['to do', handoverText(status)],
  ];
  return [
    ...headlines(status),
    ...rows.flatMap(([name, text]) => (text === null ? [] : [lineOf(name, text)])),
    ...gatewayLines(answers, status),
  ];
}

/** Why it ended or goes back, before everything else. */
function headlines({ ending = null }: MigrationStatus): string[] {
  return ending === null ? [] : [headlineOf(ending, utcMinuteText)];
}

/** A line for each gateway, what it serves and how that differs from what the migration last verified; and its keys. */
export function gatewayLines(
  { gateways, problem }: GatewayAnswers,
  status: MigrationStatus | null,
): string[] {
  if (problem !== null) return [lineOf('serving', `not read from the gateways: ${problem}`)];
  const statuses = gateways.flatMap(({ answer }) => (answer.kind === 'ok' ? [answer.value] : []));
  const keys = keysText(statuses);
  const serving = gateways.map(({ name, admin, answer }, index) => {
    const differs = status === null || answer.kind !== 'ok' ? null : contradiction(status, answer.value);
    const text = `${name} at ${addressOf(admin)} ${servingText(answer)}${differs === null ? '' : `; DIFFERS: ${differs}`}`;
    return lineOf(index === 0 ? 'serving' : '', text);
  });
  return keys === null ? serving : [...serving, lineOf('keys', keys)];
}

function deadlineText({ deadlineAtMs, deadlineThen }: MigrationStatus): string | null {
  if (deadlineAtMs === null) return null;
  const then = deadlineThen === 'hold' ? ': held' : deadlineThen === 'rollback' ? ': rolled back' : '';
  return `${instantText(deadlineAtMs)}${then === '' ? '' : `${then} unless the stage has passed by then`}`;
}

function gatewaysText({ roster, addresses = {} }: MigrationStatus): string {
  const shown = roster.map((name) => {
    const admin = addresses[name];
    return admin === undefined ? name : `${name} (${addressOf(admin)})`;
  });
  return shown.join(', ') || 'none known yet';
}

/** `HOST:PORT` of an admin listener. */
function addressOf(admin: string): string {
  return admin.replace(/^\w+:\/\//, '');
}

/** Which gateways serve another share than the migration last verified, without what changes from second to second. */
export function differencesIn({ gateways }: GatewayAnswers, status: MigrationStatus): readonly string[] {
  return gateways.flatMap(({ name, answer }) => {
    if (answer.kind !== 'ok') return [];
    const differs = contradiction(status, answer.value);
    return differs === null ? [] : [`${name} serves ${formatShare(answer.value.effectiveShare)}; ${differs}`];
  });
}

function lineOf(name: string, text: string): string {
  return `${name.padEnd(12)}${text}`;
}

/** A status as one line, without the time, so that equal lines mean that nothing has changed. */
export function statusLine(status: MigrationStatus): string {
  const { verdict, pending, paused, drift, held, doing, ending = null } = status;
  const approval = openApproval(status);
  const stage =
    status.outcome ?? status.endedByTemporal ?? (status.phase === 'observing' ? status.stage : status.phase);
  const parts = [
    ending === null ? stage : headlineOf(ending, utcMinuteText),
    `share ${shareText(status)}`,
    `epoch ${status.epoch}`,
    status.phase === 'observing' ? `soak ${soakText(status)}` : null,
    verdict === null || ending !== null
      ? null
      : `requests ${verdict.requests.legacy}/${verdict.requests.candidate}`,
    verdict === null || ending !== null ? null : verdictLine(verdict, status.phase === 'handover'),
    pending === null ? null : pendingText(pending),
    drift === null ? null : `DRIFT at ${drift.gateway}: ${drift.kind}`,
    paused === null ? null : `PAUSED by ${paused.by}`,
    held === null ? null : 'HELD',
    approval === null ? null : `APPROVAL NEEDED, asked by checkpoint ${approval.checkpoint}`,
    status.phase === 'closed' ? null : doing,
  ];
  return parts.filter((part) => part !== null).join('  ');
}

function stageText(stage: MigrationStatus['stages'][number]): string {
  const text = `${stage.name} ${stageShareText(stage)}`;
  return stage.state === 'next' ? text : `${text} (${stage.state})`;
}

function shareText({ share, shareAsked, observedShare }: MigrationStatus): string {
  const notes = [
    ...(shareAsked === share ? [] : [`${formatShare(shareAsked)} asked`]),
    ...(observedShare === null ? [] : [`${formatShare(observedShare)} measured`]),
  ];
  return `${formatShare(share)}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
}

function soakText({ soak }: MigrationStatus): string {
  return `${formatDuration(soak.observedMs)} of ${formatDuration(soak.requiredMs)}`;
}

function soakInWindows(status: MigrationStatus): string {
  const { windows } = status.soak;
  return `${soakText(status)} in ${windows} ${windows === 1 ? 'window' : 'windows'}`;
}

/** What ends the handover; null in any other phase, and once it ends by itself. */
function handoverText({ phase, roster, settled, route }: MigrationStatus): string | null {
  const open = roster.filter((name) => !settled.includes(name));
  if (phase !== 'handover' || open.length === 0) return null;
  return `set \`settled: candidate\` for ${route} in the configuration of ${open.join(', ')} and restart ${open.length === 1 ? 'it' : 'them'}; the migration then closes by itself`;
}

function pendingText(pending: NonNullable<MigrationStatus['pending']>): string {
  const { share, checkpoint, confirmed, missing } = pending;
  return `to ${formatShare(share)} (checkpoint ${checkpoint}): confirmed by ${confirmed.join(', ') || 'none'}, missing ${missing.join(', ') || 'none'}`;
}

function verdictText(status: MigrationStatus): string {
  const { verdict } = status;
  if (verdict === null) return 'none in this stage yet';
  const { requests } = verdict;
  return `${verdictLine(verdict, status.phase === 'handover')} (requests: legacy ${requests.legacy}, candidate ${requests.candidate})`;
}

function probesText({ probes }: MigrationStatus): string {
  const textOf = (name: 'legacy' | 'candidate') => {
    const { failedInARow } = probes[name];
    return `${name} ${probeSummary(probes[name])}${failedInARow === 0 ? '' : `, the last ${failedInARow} failed`}`;
  };
  return `${textOf('legacy')}; ${textOf('candidate')}`;
}

function approvalText({ approval, route }: MigrationStatus): string | null {
  if (approval === null) return null;
  const { checkpoint, asks, granted, expiresAtMs } = approval;
  if (granted !== null) return `given by ${granted.by}${because(granted.reason)}`;
  return `asked until ${instantText(expiresAtMs)}: ${asks.join('; ')} (cutover approve ${route} --checkpoint ${checkpoint})`;
}

function effectText({
  name,
  purpose,
  stage,
  attempts,
  lastError,
}: MigrationStatus['effects'][number]): string {
  const tried = lastError === null ? '' : `, ${attempts} attempts failed: ${lastError}`;
  return `${purpose} ${name} (${stage}) is pending${tried}`;
}

function because(reason: string): string {
  return reason === '' ? '' : `: ${reason}`;
}
