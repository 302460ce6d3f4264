import { usageLines } from '../core/assessment/usage-digest';
import { saidOnce } from '../core/gates/harm-text';
import type { GateVerdict, MetricVerdict } from '../core/gates/verdict';
import { breachTexts, metricSentence, metricTexts, outcomeText } from '../core/gates/verdict-text';
import type { Checkpoint } from '../core/migration/checkpoint';
import { formatShare, type StagePlan, stageShareText } from '../core/plan/plan';
import { recordHash, sequenceProblem } from '../core/record/record-chain';
import { formatDuration } from '../core/text/duration';
import {
  type ReportCell,
  type ReportDocument,
  type ReportSection,
  type ReportTable,
  section,
  type Tone,
} from '../report/report-document';
import { managerSentences } from './manager-sentences';
import { evidenceBar, intervalChart, shareChart } from './migration-charts';
import { plannedGates } from './planned-gates';
import type { ReportedMigration, ReportedWindow } from './reported-migration';

/** What a migration's history tells, fit for a change ticket; `madeAtMs` is when. */
export function migrationReport(migration: ReportedMigration, madeAtMs: number): ReportDocument {
  const untilMs = migration.endedAtMs ?? migration.asOfMs ?? madeAtMs;
  return {
    title: `Migration of ${migration.route}`,
    status: { text: migration.outcome, tone: toneOf(migration.outcome) },
    sections: [
      inBrief(migration, untilMs),
      summary(migration, untilMs),
      shares(migration, untilMs),
      ...verdicts(migration),
      ...assessment(migration),
      whoDidWhat(migration),
      effects(migration),
      checkpoints(migration),
      planned(migration),
    ],
  };
}

function toneOf(outcome: string): Tone {
  if (['completed', 'pass', 'took effect', 'promoted'].includes(outcome)) return 'good';
  if (['rolled back', 'rejected', 'fail', 'failed', 'terminated', 'harm'].includes(outcome)) return 'bad';
  return outcome === 'not applicable' || outcome === 'superseded' ? 'plain' : 'open';
}

function badge(text: string, of = text): ReportCell {
  return { text, tone: toneOf(of) };
}

/** For a manager; the rest is for whoever audits. */
function inBrief(migration: ReportedMigration, untilMs: number): ReportSection {
  return section({ title: 'In brief', prose: managerSentences(migration, untilMs) });
}

function summary(migration: ReportedMigration, untilMs: number): ReportSection {
  const { startedAtMs, endedAtMs, windows, checkpoints: listed, changes } = migration;
  const last = windows.at(-1)?.result.verdict;
  const ended = migration.outcome === 'rolled back' ? 'What was verified' : 'How it ended';
  const lines = [
    ...(migration.outcomeReason === '' ? [] : [`${ended}: ${migration.outcomeReason}.`]),
    ...(last === undefined ? [] : [`Last verdict: ${last.sentence}.`]),
    ...(migration.fromTheStart
      ? []
      : ['The history starts partway through: windows and changes of earlier runs are not in it.']),
    ...(listed.problem === null ? [] : [`Checkpoints are not complete: ${listed.problem}.`]),
    ...(migration.notes ?? []),
  ];
  const highest = Math.max(0, ...changes.flatMap((one) => (one.confirmedAtMs === null ? [] : [one.share])));
  return section({
    title: 'For the auditor',
    facts: [
      ['Migration', migration.migrationId],
      ['Started', instant(startedAtMs)],
      ['Ended', endedAtMs === null ? openText(migration) : instant(endedAtMs)],
      ['Lasted', formatDuration(untilMs - startedAtMs)],
      ['Started by', migration.by],
      ['Why', migration.reason === '' ? 'not said' : migration.reason],
      ['Highest share confirmed', formatShare(highest)],
      ['Windows judged', String(windows.length)],
    ],
    lines,
  });
}

function openText({ asOfMs }: ReportedMigration): string {
  return asOfMs === undefined ? 'still open' : `still open at ${instant(asOfMs)}`;
}

function shares(migration: ReportedMigration, untilMs: number): ReportSection {
  return section({
    title: 'Shares asked and confirmed',
    figure: shareChart(migration, migration.startedAtMs, untilMs, toneOf),
    table: {
      head: ['asked', 'confirmed', 'stage', 'share', 'epoch', 'by gateways', 'not confirmed'],
      numeric: [3, 4],
      rows: migration.changes.map((change) => [
        instant(change.atMs),
        change.confirmedAtMs === null
          ? badge('cut short', 'superseded')
          : `after ${formatDuration(change.confirmedAtMs - change.atMs)}`,
        change.stage,
        formatShare(change.share),
        String(change.epoch),
        [...change.confirmed, ...change.lapsed.map((name) => `${name} (lease over)`)].join(', '),
        change.missing.join(', '),
      ]),
    },
  });
}

/** Windows of one epoch are one visit of a stage. */
function verdicts({ windows }: ReportedMigration): ReportSection[] {
  const visits: ReportedWindow[][] = [];
  for (const window of windows) {
    const current = visits.at(-1);
    if (current?.[0]?.epoch === window.epoch) current.push(window);
    else visits.push([window]);
  }
  const title = 'Verdicts';
  if (visits.length === 0) return [section({ title, lines: ['No window has ended.'] })];
  return [section({ title, table: visitTable(visits) }), ...visits.flatMap(visitSections)];
}

function visitTable(visits: readonly (readonly ReportedWindow[])[]): ReportTable {
  return {
    head: ['stage', 'asked', 'observed', 'windows', 'soak', 'legacy', 'candidate', 'verdict', 'why'],
    numeric: [1, 2, 3, 5, 6],
    rows: visits.flatMap((visit) => {
      const last = visit.at(-1);
      if (last === undefined) return [];
      const { verdict, observedMs } = last.result;
      return [
        [
          last.stage.name,
          askedText(last),
          observedText(verdict),
          String(visit.length),
          formatDuration(last.observedBeforeMs + observedMs),
          count(verdict.requests.legacy),
          count(verdict.requests.candidate),
          badge(outcomeText(verdict), verdict.outcome),
          verdict.sentence,
        ],
      ];
    }),
  };
}

function visitSections(visit: readonly ReportedWindow[]): ReportSection[] {
  const last = visit.at(-1);
  if (last === undefined) return [];
  const { verdict } = last.result;
  const name = `${last.stage.name} at ${askedText(last)}`;
  return [
    section({
      title: `${name}: the last verdict, by metric`,
      level: 3,
      lines: verdict.metrics.flatMap((metric) => [
        `${metricSentence(metric)}.`,
        ...breachTexts(metric).map(
          ({ what, candidate, legacy }) =>
            `Answers, ${what}: ${candidate || 'none'} against ${legacy || 'none'}.`,
        ),
      ]),
      table: metricTable(verdict.metrics),
    }),
    section({
      title: `${name}: every window`,
      level: 3,
      folded: true,
      table: {
        head: ['window', 'ended', 'observed', 'legacy', 'candidate', 'errors', 'evidence', 'verdict', 'why'],
        numeric: [0, 2, 3, 4, 5, 6],
        rows: visit.map(windowRow),
      },
    }),
  ];
}

function windowRow({ number, endedAtMs, result: { verdict } }: ReportedWindow): ReportCell[] {
  const errors = verdict.metrics.find(({ metric }) => metric === 'errors');
  const texts = errors === undefined ? null : metricTexts(errors);
  return [
    String(number),
    instant(endedAtMs),
    observedText(verdict),
    count(verdict.requests.legacy),
    count(verdict.requests.candidate),
    charted(texts?.estimate ?? '', errors === undefined ? null : intervalChart(errors)),
    charted(texts?.evidence ?? '', errors === undefined ? null : evidenceBar(errors)),
    badge(outcomeText(verdict), verdict.outcome),
    verdict.sentence,
  ];
}

function metricTable(metrics: readonly MetricVerdict[]): ReportTable {
  return {
    head: [
      ...['metric', 'verdict', 'n, each arm', 'legacy', 'candidate', 'change'],
      ...['95% interval', 'margin', 'e-value', 'to decide'],
    ],
    numeric: [2, 3, 4, 5, 6, 7, 8, 9],
    rows: metrics.map((metric) => {
      const texts = metricTexts(metric);
      return [
        metric.metric,
        badge(metric.harm ? 'harm' : metric.outcome === 'not applicable' ? 'watched' : metric.outcome),
        texts.n,
        texts.legacy,
        texts.candidate,
        texts.estimate,
        charted(texts.interval, intervalChart(metric)),
        texts.margin,
        charted(texts.evidence, evidenceBar(metric)),
        texts.more,
      ];
    }),
  };
}

function charted(text: string, chart: string | null): ReportCell {
  return chart === null ? text : { text, chart };
}

function assessment({ assessment: found }: ReportedMigration): ReportSection[] {
  if (found === null) return [];
  const lines = [
    ...found.blockers.map((text) => `Blocker: ${text}`),
    ...found.warnings.map((text) => `Warning: ${text}`),
    found.sentence,
    ...(found.usage?.digest == null ? [] : usageLines(found.usage.digest)),
    ...(found.approvals ?? []).map(({ text }) => `Asked: ${text}`),
  ];
  return [section({ title: `Assessment: ${found.outcome}`, lines })];
}

function whoDidWhat({ messages, by, startedAtMs, reason }: ReportedMigration): ReportSection {
  return section({
    title: 'Who did what',
    table: {
      head: ['when', 'who', 'what', 'why', 'sent as'],
      rows: [
        [instant(startedAtMs), by, 'start', reason, 'start'],
        ...messages.map((message) => [
          instant(message.atMs),
          message.by,
          message.name,
          message.reason,
          message.via,
        ]),
      ],
    },
  });
}

/** Effects are recorded as checkpoints of their own. */
function effects({ checkpoints: { list } }: ReportedMigration): ReportSection {
  const recorded = list.flatMap((entry) =>
    entry.kind === 'recorded' && entry.what.startsWith('effect') ? [entry] : [],
  );
  const title = 'Effects';
  if (recorded.length === 0) return section({ title, lines: ['None was recorded.'] });
  return section({
    title,
    table: {
      head: ['when', 'what', 'stage', 'detail'],
      rows: recorded.map(({ atMs, what, stage, reason }) => [instant(atMs), what, stage, reason]),
    },
  });
}

function checkpoints({ checkpoints: { list, source, archived }, migrationId }: ReportedMigration) {
  const problem = sequenceProblem(list, archived?.count);
  const open = list.filter(({ kind }) => kind === 'intended').length;
  const verified =
    problem === null
      ? `Verified: ${list.length} checkpoints without a gap, ${open} changes of routing written ahead and each closed at most once; record hash ${recordHash(migrationId, list, archived ?? undefined)}.`
      : `NOT verified: ${problem}.`;
  const earlier = `The ${archived?.count} before them are in runs that are not here; the record hash covers them.`;
  return section({
    title: 'Checkpoints',
    lines: [verified, ...(archived === null ? [] : [earlier]), `Taken from ${source}.`],
    table: {
      head: ['no', 'when', 'what', 'stage', 'share', 'epoch', 'by', 'why'],
      numeric: [0, 4, 5],
      rows: list.map(checkpointRow),
    },
  });
}

function checkpointRow(checkpoint: Checkpoint): ReportCell[] {
  const { seq, atMs, stage, kind } = checkpoint;
  const start = [String(seq), instant(atMs)];
  if (kind === 'recorded') {
    const { what, by, reason } = checkpoint;
    return [...start, badge(what, RECORDED_TONES[what] ?? 'superseded'), stage, '', '', by, saidOnce(reason)];
  }
  const routing = [stage, formatShare(checkpoint.share), String(checkpoint.epoch)];
  if (kind === 'intended') {
    return [...start, `intended: ${checkpoint.cause}`, ...routing, checkpoint.by, checkpoint.reason];
  }
  const { closes, gateways, lapsed, missing, reason } = checkpoint;
  const told = [
    gateways.length === 0 ? '' : `confirmed by ${gateways.join(', ')}`,
    lapsed.length === 0 ? '' : `lease over at ${lapsed.join(', ')}`,
    missing.length === 0 ? '' : `missing ${missing.join(', ')}`,
    reason,
  ].filter((part) => part !== '');
  return [...start, badge(`${kind}: ${closes}`, kind), ...routing, '', told.join('; ')];
}

/** What a recorded entry is like, where it is not plain. */
const RECORDED_TONES: Readonly<Record<string, string>> = {
  harm: 'harm',
  'rolled back': 'rolled back',
  rejected: 'rejected',
  completed: 'completed',
  promoted: 'promoted',
  override: 'inconclusive',
  paused: 'inconclusive',
  held: 'inconclusive',
  drift: 'inconclusive',
  deadline: 'inconclusive',
};

function planned({ plan }: ReportedMigration): ReportSection {
  return section({
    title: 'The plan',
    table: {
      head: [
        'stage',
        'share',
        'soak',
        'sample',
        'hold after',
        'roll back after',
        'harm beyond',
        'promoted within',
      ],
      numeric: [1, 3],
      rows: plan.stages.map(planRow),
    },
  });
}

function planRow(stage: StagePlan): ReportCell[] {
  const { name, soakMs, minimumSample, deadline } = stage;
  const { harm, promotion } = plannedGates(stage);
  return [
    name,
    stageShareText(stage),
    soakMs === 0 ? '' : formatDuration(soakMs),
    count(minimumSample),
    formatDuration(deadline.holdMs),
    deadline.rollbackMs === null ? 'never' : formatDuration(deadline.rollbackMs),
    harm.join(', '),
    promotion.join(', '),
  ];
}

function askedText({ share }: ReportedWindow): string {
  return share === null ? 'an unknown share' : formatShare(share);
}

function observedText({ observedShare }: GateVerdict): string {
  return observedShare === null ? '' : formatShare(observedShare);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 19).replace('T', ' ');
}
