import { pointsText } from '../../core/gates/gate-metric';
import type { IdentityPlan } from '../../core/plan/identity-plan';
import {
  formatShare,
  type Plan,
  type RolloutPlan,
  type StagePlan,
  stageShareText,
} from '../../core/plan/plan';
import { rampMs, rampShares } from '../../core/plan/ramp';
import { nextPossible } from '../../core/plan/rollout-hours';
import { SPENDING_MEASURES } from '../../core/plan/spending-gate';
import { cohortText } from '../../core/routing/cohort';
import { formatDuration } from '../../core/text/duration';
import { instantText } from '../options/instant';
import { printLine, printTable } from '../options/output';

/** Prints a plan's stages: what each applies, and how long and on how much it is judged. */
export function printStages({ stages }: Plan): void {
  printTable(
    ['STAGE', 'SHARE', 'SOAK', 'WINDOW', 'REQUESTS', 'KEYS', 'BURN-IN', 'HOLD AFTER', 'ROLL BACK AFTER'],
    stages.map((stage) => {
      const { name, soakMs, windowMs, minimumSample, minimumKeys, burnIn, deadline } = stage;
      return [
        name,
        stageShareText(stage),
        soakMs === 0 ? '-' : formatDuration(soakMs),
        formatDuration(windowMs),
        String(minimumSample),
        String(minimumKeys),
        `${formatDuration(burnIn.timeMs)}, ${burnIn.requests} requests`,
        formatDuration(deadline.holdMs),
        deadline.rollbackMs === null ? 'never' : formatDuration(deadline.rollbackMs),
      ];
    }),
  );
}

/** Prints what the usage logs have to show before anything is moved. */
export function printAssess({ assess }: Plan): void {
  if (assess === undefined) return;
  const { usage, windowDays, targets, checklist, attestations, ask } = assess;
  const { p50Ms, errorRate, savingPercent } = targets;
  const wanted = [
    ...(p50Ms === null ? [] : [`p50 at most ${formatDuration(p50Ms)}`]),
    ...(errorRate === null ? [] : [`errors at most ${formatShare(errorRate)}`]),
    ...(savingPercent === null ? [] : [`saves at least ${Number(savingPercent.toFixed(2))}%`]),
  ];
  const attested = attestations.map(({ item }) => item);
  const open = [
    ...checklist.attested.filter((item) => !attested.includes(item)),
    ...checklist.further.filter(({ attestedBy }) => attestedBy === null).map(({ text }) => text),
  ];
  printLine();
  printTable(
    ['ASSESS', ''],
    [
      ['usage', usage.join(', ')],
      ['window', `${windowDays} days`],
      ['candidate', ask ? 'is asked and probed' : 'is sent nothing'],
      ['targets', wanted.join('; ') || 'none'],
      [`asks ${checklist.asks ?? 'anyone'} for`, open.join('; ') || 'nothing: all is attested'],
    ],
  );
}

/** Prints what else has to be there before a share is raised, and what happens in the world when it is. */
export function printConditions(plan: Plan, nowMs: number): void {
  const { stages, rollout, identity, notify = [] } = plan;
  const rows = stages.flatMap(({ name, approval, confirm = [], effects = [] }): string[][] => [
    ...(approval === undefined
      ? []
      : [
          [
            name,
            `is left with an approval: ${formatDuration(approval.expiresMs)}, then ${approval.onExpiry}`,
          ],
        ]),
    ...(confirm.length === 0 ? [] : [[name, `is entered when ${confirm.join(', ')} confirm`]]),
    ...(effects.length === 0 ? [] : [[name, `sets ${effects.map((effect) => effect.name).join(', ')}`]]),
  ]);
  rows.push(...stages.flatMap(copiesRow));
  rows.push(...stages.flatMap(cohortRow));
  rows.push(...stages.flatMap((_stage, index) => rampRow(plan, index)));
  rows.push(...stages.filter(({ share }) => share === 1).map(holdbackRow));
  for (const text of identityTexts(identity)) rows.push(['identity', text]);
  if (rollout !== undefined) rows.push(['rollout', nextPossibleText(rollout, nowMs)]);
  for (const { name, moments } of notify)
    rows.push([name, `is notified of ${moments?.join(', ') ?? 'everything'}`]);
  if (rows.length === 0) return;
  printLine();
  printTable(['ALSO', ''], rows);
}

function identityTexts(identity: IdentityPlan | undefined): string[] {
  const { reference, declared, perHour = 0, alpha = 0 } = identity ?? {};
  return [
    ...(declared === undefined
      ? []
      : [`${declared} is what the candidate's server must state in /v1/models`]),
    ...(reference === undefined
      ? []
      : [
          `the candidate must show the model of ${reference}: ${perHour} questions per hour, wrongly doubted with a chance of ${formatShare(alpha)}`,
        ]),
  ];
}

function copiesRow({ name, mirror, maxCostUsd = 0, judge }: StagePlan): string[][] {
  if (mirror === undefined) return [];
  const part = formatShare(mirror);
  return [
    [
      name,
      `copies ${part} of legacy's requests to the candidate for at most $${maxCostUsd}, and serves nobody from it`,
    ],
    ...(judge === undefined
      ? []
      : [
          [
            name,
            `has ${judge.model} of ${judge.provider} judge ${formatShare(judge.sample)} of the pairs for at most $${judge.maxCostUsd}, at least ${judge.minimum}; rolls back beyond ${pointsText(judge.harm)} more lost than won`,
          ],
        ]),
  ];
}

function cohortRow({ name, only, gates: { cohort } }: StagePlan): string[][] {
  if (only === undefined || cohort === undefined) return [];
  const { success, breaches, p95Ms, firstTokenP95Ms } = cohort;
  const bounds = [
    `success at least ${formatShare(success)}`,
    `contract broken by at most ${formatShare(breaches)}`,
    ...(p95Ms === null ? [] : [`p95 of plain answers at most ${formatDuration(p95Ms)}`]),
    ...(firstTokenP95Ms === null ? [] : [`p95 to first token at most ${formatDuration(firstTokenP95Ms)}`]),
  ];
  return [
    [
      name,
      `serves ${cohortText(only)} alone, and 0% of everybody else; judged by its own bounds: ${bounds.join(', ')}`,
    ],
  ];
}

/** How long a ramp takes, and when its stage can decide. */
function rampRow(plan: Plan, index: number): string[][] {
  const { name, ramp, soakMs } = plan.stages[index] as StagePlan;
  if (ramp === undefined) return [];
  const shares = rampShares(plan, index);
  const to = formatShare(shares.at(-1) ?? 0);
  const takesMs = rampMs(plan, index);
  const listed =
    shares.length <= STEPS_LISTED
      ? shares.map(formatShare).join(', ')
      : `${shares
          .slice(0, STEPS_LISTED - 1)
          .map(formatShare)
          .join(', ')} ... ${to}`;
  return [
    [
      name,
      `is raised in ${shares.length} steps, ${formatDuration(ramp.everyMs)} each: ${listed}; reaches ${to} after ${formatDuration(takesMs)} and can decide after ${formatDuration(takesMs + soakMs)} at the earliest`,
    ],
  ];
}

const STEPS_LISTED = 12;

function holdbackRow({ name, holdback }: StagePlan): string[] {
  const text =
    holdback === undefined
      ? 'holds nothing back: it is compared with what legacy did in the stage before, as if traffic never changed'
      : `holds ${formatShare(holdback)} back at legacy to compare with, until its soak has passed`;
  return [name, text];
}

function nextPossibleText(rollout: RolloutPlan, nowMs: number): string {
  const { atMs, why } = nextPossible(rollout, nowMs);
  if (atMs === null) return why;
  return atMs <= nowMs ? 'possible now' : `next possible at ${instantText(atMs)}: ${why}`;
}

/** Prints how what applications say of answers is judged. */
export function printOutcomes({ stages }: Plan): void {
  const outcomes = stages.at(-1)?.outcomes ?? [];
  if (outcomes.length === 0) return;
  printLine();
  printTable(
    ['OUTCOME', 'BETTER', 'ROLL BACK', 'PROMOTE', 'OF THE CANDIDATE'],
    outcomes.map(({ name, better, harm, promotion, minimum }) => [
      name,
      better,
      `worse by more than ${pointsText(harm)}`,
      promotion === null ? 'not judged' : `worse by at most ${pointsText(promotion)}`,
      `at least ${minimum} per stage`,
    ]),
  );
  printLine(
    'How long that takes depends on how many outcomes applications report; no stage advances before that.',
  );
}

/** Prints the margins of each stage's gates: beyond the first it rolls back, within the second it promotes. */
export function printGates({ stages }: Plan): void {
  printLine();
  printTable(
    ['GATES', 'ERRORS', 'ANSWERS', 'P95', 'INTER-TOKEN', 'SUCCESS', 'PROBES', 'SAMPLE RATIO'],
    stages.map(gateRow),
  );
}

/** Prints the margins on cost and output tokens of the stages that judge them. */
export function printSpending({ stages }: Plan): void {
  const rows = stages.flatMap(({ name, share, gates }) =>
    share === 0
      ? []
      : SPENDING_MEASURES.flatMap((measure) => {
          const gate = gates[measure];
          if (gate === undefined) return [];
          const { quantile, rollbackIncrease, promotionIncrease: within } = gate;
          const what = measure === 'cost' ? 'cost per request' : 'output tokens per request';
          return [
            [
              name,
              `p${100 * quantile} ${what}`,
              `beyond +${formatShare(rollbackIncrease)}`,
              within === null ? 'not judged' : `within +${formatShare(within)}`,
            ],
          ];
        }),
  );
  if (rows.length === 0) return;
  printLine();
  printTable(['SPENDING', 'OF', 'ROLL BACK', 'PROMOTE'], rows);
}

/** Pairs of answers: there are no arms whose rates could be compared. */
function copyingRow({ name, gates: { errors, answers, latency, probes } }: StagePlan): string[] {
  const { promotionExcess } = answers ?? errors;
  const streaks = `${probes.rollbackStreak} failed; last ${probes.promotionStreak} passed`;
  const pairs = `more pairs lost than won; within ${formatShare(promotionExcess)}`;
  return [
    ...[name, '-', pairs, `half of the pairs beyond +${formatShare(latency.rollbackIncrease)}`],
    ...['-', '-', streaks, '-'],
  ];
}

/** Nothing is compared with legacy: its bounds stand below. */
function cohortGateRow({ name, gates: { cohort, probes } }: StagePlan): string[] {
  const streaks = `${probes.rollbackStreak} failed; last ${probes.promotionStreak} passed`;
  return [name, '-', '-', '-', '-', `at least ${formatShare(cohort?.success ?? 0)}`, streaks, '-'];
}

function gateRow(stage: StagePlan): string[] {
  if (stage.mirror !== undefined) return copyingRow(stage);
  if (stage.only !== undefined) return cohortGateRow(stage);
  const { name, gates } = stage;
  const { errors, answers, latency, interToken, floor, probes, sampleRatio } = gates;
  const within = latency.promotionIncrease;
  return [
    name,
    `beyond x${errors.rollbackRatio}; within +${formatShare(errors.promotionExcess)}`,
    answers === undefined
      ? 'not judged'
      : `beyond x${answers.rollbackRatio}; within +${formatShare(answers.promotionExcess)}`,
    `beyond +${formatShare(latency.rollbackIncrease)}; ${within === null ? 'not judged' : `within +${formatShare(within)}`}`,
    `beyond +${formatShare(interToken.rollbackIncrease)}`,
    `at least ${formatShare(floor.success)}`,
    `${probes.rollbackStreak} failed; last ${probes.promotionStreak} passed`,
    `pause at p < ${sampleRatio.pausePValue}`,
  ];
}
