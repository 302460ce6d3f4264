import { defaultPlan } from '../../client/plan-file';
import type { Plan, StagePlan } from '../../core/plan/plan';
import { DAY_MS, HOUR_MS } from '../../core/text/duration';

/** A plan file of a route with every default written out and explained; parsing it gives the default plan. */
export function planTemplate(route: string): string {
  const plan = defaultPlan(route);
  return `${[...head(plan), ...plan.stages.flatMap(stageLines)].join('\n')}\n`;
}

function head(plan: Plan): string[] {
  return [
    '# What to do with one route. Only route is required; these are the defaults.',
    '# Durations: 500ms, 45s, 10m, 24h, 7d. Shares: 0.1 or "10%".',
    '# `cutover plan check FILE` checks it, `cutover start --plan FILE` shows what it will do and asks.',
    '',
    '# A route of cutover.yaml.',
    `route: ${plan.route}`,
    '',
    '# How long a gateway may serve the candidate without renewal, and how often it is renewed.',
    `lease: ${durationText(plan.leaseMs)}`,
    `renewal: ${durationText(plan.renewalMs)} # at most a third of the lease`,
    '# After this long without a heartbeat a watch is started again elsewhere.',
    `watchHeartbeat: ${durationText(plan.watchHeartbeatMs)}`,
    '',
    '# Part of the traffic that stays at legacy through the soak of the last stage, to compare with; 0: none.',
    `holdback: ${plan.stages.at(-1)?.holdback ?? 0}`,
    '',
    '# Synthetic requests to both providers.',
    'probes:',
    `  interval: ${durationText(plan.probes.intervalMs)}`,
    `  timeout: ${durationText(plan.probes.timeoutMs)}`,
    `  embeddings: ${plan.probes.embeddings}`,
    `  features: [${plan.probes.features.join(', ')}] # of embeddings, tools, jsonSchema, longContext`,
    '',
    '# Conversations made by each provider are replayed on the other before anything moves.',
    'handover:',
    `  probe: ${plan.handover?.probe ?? true}`,
    '',
    '# Golden prompts that both providers answer before anything moves:',
    '# parity:',
    '#   golden: golden.jsonl',
    '#   maxCostUsd: 5',
    '',
    '# What shows that the candidate is the model that is meant: a reference that `cutover identity enrol` wrote, and the',
    "# digest of a model that `cutover train` exported, which the candidate's server must state in /v1/models.",
    '# identity:',
    '#   reference: model.identity.json',
    '#   declared: sha256:...',
    '',
    "# Usage logs that the assess stage reads on the worker's machine, and what they have to show first.",
    '# See docs/assess.md and examples/plans/with-usage.yaml for all of it.',
    '# assess:',
    '#   usage: [/var/log/llm/*.jsonl.gz]',
    '#   targets: { saving: 15%, p50: 800ms }',
    '#   checklist: { asks: ana }',
    '',
    '# Whether a worker with --reports DIR writes a report when the migration is final.',
    `report: ${plan.report}`,
    '',
    '# When a share may be raised; a rollback never waits. See examples/plans/careful.yaml.',
    '# rollout:',
    '#   timeZone: Europe/Berlin',
    "#   hours: [{ days: [mon, tue, wed, thu], from: '09:00', to: '16:00' }]",
    "#   freezes: [{ from: '2026-12-18', to: '2027-01-03', reason: year end }]",
    '',
    '# small, for fewer than 2,000 requests per day, has other defaults: canary at 50%, wide margins, the median.',
    'profile: standard',
    '',
    '# In this order; shares rise, the first moves nothing, the last moves everything.',
    'stages:',
  ];
}

function stageLines(stage: StagePlan, index: number): string[] {
  const { errors, answers, latency, interToken, leavers, shed, sampleRatio, floor, probes } = stage.gates;
  const { holdMs, rollbackMs } = stage.deadline;
  // What a line means is said once, at the first stage.
  const why = (text: string): string => (index === 0 ? ` # ${text}` : '');
  return [
    `  - name: ${stage.name}`,
    `    share: ${stage.share}${why("the candidate's part of the randomised traffic")}`,
    `    soak: ${durationText(stage.soakMs)}${why('how long it is observed, at least')}`,
    `    window: ${durationText(stage.windowMs)}${why('how long one observation window is')}`,
    `    minimumSample: ${stage.minimumSample}${why('candidate requests; for assess, probes of each side')}`,
    `    minimumKeys: ${stage.minimumKeys}${why('distinct assignment keys')}`,
    `    burnIn:${why('at the start of a stage only floor, probes and breaker act')}`,
    `      time: ${durationText(stage.burnIn.timeMs)}`,
    `      requests: ${stage.burnIn.requests}`,
    `    deadline:${why('since the stage was entered')}`,
    `      hold: ${durationText(holdMs)}${why('stop advancing and ask')}`,
    `      rollback: ${rollbackMs === null ? 'null' : durationText(rollbackMs)}${why('null: never')}`,
    '    gates:',
    '      errors:',
    `        rollbackRatio: ${errors.rollbackRatio}${why("harm: the candidate's error rate beyond this multiple of legacy's")}`,
    `        promotionExcess: ${errors.promotionExcess}${why("promotion: at most this much above legacy's, absolute")}`,
    ...(answers === undefined
      ? [`      answers: null${why('answers that break their contract are not judged')}`]
      : [
          `      answers:${why('with a status of success: empty, cut, JSON or tool calls that do not match the request')}`,
          `        rollbackRatio: ${answers.rollbackRatio}${why('harm: they break their contract this many times as often')}`,
          `        promotionExcess: ${answers.promotionExcess}${why('promotion: at most this much more often, absolute')}`,
          `        minimum: ${answers.minimum}${why('answers of the candidate that have to be checked')}`,
          `        maxUnchecked: ${answers.maxUnchecked}${why('not evaluated while more than this part could not be checked')}`,
        ]),
    '      latency:',
    `        rollbackIncrease: ${latency.rollbackIncrease}${why('harm: p95 more than this part above')}`,
    `        promotionIncrease: ${latency.promotionIncrease}${why('promotion: p95 at most this part above; null: not judged')}`,
    `        quantile: ${latency.quantile}${why('0.5 judges the median, which takes fewer requests')}`,
    `        tailIncrease: ${latency.tailIncrease}${why('harm: p99 more than this part above')}`,
    `        ignoreBelowMs: ${latency.ignoreBelowMs}${why('a difference of fewer milliseconds does not count')}`,
    '      interToken:',
    `        rollbackIncrease: ${interToken.rollbackIncrease}${why('harm: inter-token p95 more than this part above')}`,
    `        ignoreBelowMs: ${interToken.ignoreBelowMs}`,
    '      leavers:',
    `        rollbackRatio: ${leavers?.rollbackRatio}${why('harm: callers leave before their answer this many times as often')}`,
    '      shed:',
    `        pausePart: ${shed?.pausePart}${why("pause: more than this part of the candidate's requests could not be sent to it")}`,
    '      sampleRatio:',
    `        pausePValue: ${sampleRatio.pausePValue}${why('pause: the split is this unlikely')}`,
    '      floor:',
    `        success: ${floor.success}${why("the candidate's success rate never below this")}`,
    '      probes:',
    `        rollbackStreak: ${probes.rollbackStreak}${why('harm: failed in a row while legacy passes')}`,
    `        promotionStreak: ${probes.promotionStreak}${why('promotion: at least this many in a row passed')}`,
  ];
}

const UNITS = [
  ['d', DAY_MS],
  ['h', HOUR_MS],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** A duration as a plan takes it: the largest unit that divides it. */
function durationText(durationMs: number): string {
  if (durationMs === DAY_MS) return '24h';
  const unit = UNITS.find(([, unitMs]) => durationMs >= unitMs && durationMs % unitMs === 0);
  return unit === undefined ? `${durationMs}ms` : `${durationMs / unit[1]}${unit[0]}`;
}
