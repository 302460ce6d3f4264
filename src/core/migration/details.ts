import { usageLines } from '../assessment/usage-digest';
import { saidOnce } from '../gates/harm-text';
import { formatShare, stageShareText } from '../plan/plan';
import { rampText } from '../plan/ramp';
import { formatDuration } from '../text/duration';
import type { Checkpoint } from './checkpoint';
import { headlineOf, utcMinuteText } from './end-cause';
import { openApproval } from './migration-state';
import type { MigrationStatus } from './status';

/** Characters of one text that came from outside; Temporal takes 20,000 bytes in all. */
const TEXT_LIMIT = 300;
const NAMES_SHOWN = 10;

/** A short Markdown summary for the Temporal UI: the same status always gives the same text. */
export function currentDetails(status: MigrationStatus): string {
  return [
    ...ended(status),
    headline(status),
    ...banners(status),
    `Now: ${shown(status.doing)}`,
    stageTable(status),
    facts(status).join('\n'),
    lastCheckpoints(status),
  ]
    .filter((block) => block !== '')
    .join('\n\n');
}

/** What whoever looks after a rollback wants to know first. */
function ended({ ending = null }: MigrationStatus): string[] {
  return ending === null ? [] : [`**${shown(headlineOf(ending, utcMinuteText))}**`];
}

function headline(status: MigrationStatus): string {
  const { route, stage, phase, outcome, share, shareAsked, observedShare, epoch } = status;
  const where = outcome ?? (phase === 'observing' ? stage : `${stage}, ${phase}`);
  const shares = [
    formatShare(share),
    ...(shareAsked === share ? [] : [`asked ${formatShare(shareAsked)}`]),
    ...(observedShare === null ? [] : [`observed ${formatShare(observedShare)}`]),
  ];
  return `**${shown(route)}**: ${shown(where)}; share ${shares.join(', ')}; epoch ${epoch}`;
}

function banners(status: MigrationStatus): string[] {
  const { paused, held, drift, unreachable, nextPossibleAtMs, effects } = status;
  const approval = openApproval(status);
  const banner = (title: string, text: string) => `> **${title}** ${text}`;
  return [
    ...(drift === null
      ? []
      : [banner('Drift', `at ${shown(drift.gateway)}, ${drift.kind}: ${shown(drift.detail)}`)]),
    ...(paused === null
      ? []
      : [banner('Paused', `by ${shown(paused.by)} since ${iso(paused.atMs)}${because(paused.reason)}`)]),
    ...(held === null ? [] : [banner('Held', `since ${iso(held.atMs)}${because(saidOnce(held.reason))}`)]),
    ...(approval === null
      ? []
      : [
          banner(
            'Approval asked',
            `by checkpoint ${approval.checkpoint}, until ${iso(approval.expiresAtMs)}${because(approval.asks.join('; '))}`,
          ),
        ]),
    ...(nextPossibleAtMs === null ? [] : [banner('Next possible', `at ${iso(nextPossibleAtMs)}`)]),
    ...(effects.length === 0
      ? []
      : [
          banner(
            'Effects pending',
            effects
              .slice(0, NAMES_SHOWN)
              .map(({ name, purpose, lastError }) => `${purpose} ${shown(name)}${because(lastError ?? '')}`)
              .join('; '),
          ),
        ]),
    ...(unreachable.length === 0 ? [] : [banner('No answer', `from ${names(unreachable)}`)]),
  ];
}

function stageTable({ stages }: MigrationStatus): string {
  const rows = stages.map((stage) => {
    const { name, state } = stage;
    const title = state === 'now' ? `**${shown(name)}**` : shown(name);
    return `| ${title} | ${stageShareText(stage)} | ${state} |`;
  });
  return ['| stage | share | |', '|---|---|---|', ...rows].join('\n');
}

function facts(status: MigrationStatus): string[] {
  const { verdict, soak, ramp, deadlineAtMs, pending, probes, usage, roster, settled, phase } = status;
  const { legacy, candidate } = probes;
  const soaked = `${formatDuration(soak.observedMs)} of ${formatDuration(soak.requiredMs)}`;
  return [
    ...(verdict === null ? [] : [`- Verdict: **${verdict.outcome}**${because(verdict.sentence)}`]),
    ...(ramp === undefined ? [] : [`- Ramp: ${rampText(ramp)}`]),
    ...(soak.requiredMs === 0 || phase === 'closed' ? [] : [`- Soak: ${soaked}; windows: ${soak.windows}`]),
    ...(deadlineAtMs === null ? [] : [`- Deadline: ${iso(deadlineAtMs)}`]),
    ...(pending === null
      ? []
      : [
          `- Checkpoint ${pending.checkpoint}, share ${formatShare(pending.share)}: confirmed by ${names(pending.confirmed)}; missing ${names(pending.missing)}`,
        ]),
    ...(usage === null ? [] : usageLines(usage).map((line) => `- ${shown(line)}`)),
    ...(legacy.probes + candidate.probes === 0
      ? []
      : [
          `- Probes failed: legacy ${legacy.failures} of ${legacy.probes}, candidate ${candidate.failures} of ${candidate.probes}`,
        ]),
    `- Gateways: ${names(roster)}${phase === 'handover' ? `; settled: ${names(settled)}` : ''}`,
  ];
}

function lastCheckpoints({ lastCheckpoints: entries }: MigrationStatus): string {
  if (entries.length === 0) return '';
  const rows = entries
    .map((entry) => `| ${entry.seq} | ${iso(entry.atMs)} | ${checkpointText(entry)} |`)
    .reverse();
  return ['| checkpoint | at | what |', '|---|---|---|', ...rows].join('\n');
}

function checkpointText(entry: Checkpoint): string {
  switch (entry.kind) {
    case 'intended':
      return `${entry.cause} to ${shown(entry.stage)}, ${formatShare(entry.share)}, epoch ${entry.epoch}, by ${shown(entry.by)}${because(entry.reason)}`;
    case 'took effect':
      return `checkpoint ${entry.closes} took effect: ${shown(entry.stage)}, ${formatShare(entry.share)}, epoch ${entry.epoch}`;
    case 'superseded':
    case 'failed':
      return `checkpoint ${entry.closes} ${entry.kind}${because(entry.reason)}`;
    case 'recorded':
      return `${entry.what}, by ${shown(entry.by)}${because(saidOnce(entry.reason))}`;
    default:
      return entry satisfies never;
  }
}

function because(reason: string): string {
  return reason === '' ? '' : `: ${shown(reason)}`;
}

function names(list: readonly string[]): string {
  if (list.length === 0) return 'nobody';
  const rest = list.length > NAMES_SHOWN ? ` and ${list.length - NAMES_SHOWN} more` : '';
  return `${list.slice(0, NAMES_SHOWN).map(shown).join(', ')}${rest}`;
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** Characters that end a line, are invisible, or turn the direction of what follows. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Text from people and providers as text: nothing in it becomes Markdown, HTML, a link or a line of its own. */
function shown(text: string): string {
  const line = text.replace(UNSEEN, ' ');
  const cut =
    line.length > TEXT_LIMIT ? `${line.slice(0, TEXT_LIMIT).replace(/[\uD800-\uDBFF]$/, '')}…` : line;
  return cut
    .replace(/[&<>]/g, (character) => ENTITIES[character] as string)
    .replace(/[\\`*_[\]#|~]/g, '\\$&')
    .replace(/:\/\/|www\./gi, (start) => `${start.slice(0, -1)}&#8203;${start.slice(-1)}`);
}
