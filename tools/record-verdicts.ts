import { writeFileSync } from 'node:fs';
import { noStageEvidence, type StageEvidence } from '../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../src/core/evidence/stage/stage-window';
import { judgeStage } from '../src/core/gates/judge-stage';
import type { Baseline, GateInput } from '../src/core/gates/verdict';
import type { StagePlan } from '../src/core/plan/plan';
import { planSchema } from '../src/core/plan/plan-schema';
import { ASSUMED_TRAFFIC } from '../src/core/plan/traffic';
import { CALM, rehearse, seededRandom } from '../src/core/rehearsal/rehearsal';
import { SCENARIOS } from '../src/core/rehearsal/rehearsal-scenario';

/**
 * Records what today's gates say of drawn evidence, with the plan and the evidence that they judged, so that a later
 * release can be held to it: `node dist/tools/record-verdicts.js test/core/gates/verdicts-rules-N.json`. Run it once for
 * a set of rules, and never again over what it wrote.
 */
function main(file: string): void {
  const cases = CASES.map(recordCase);
  writeFileSync(file, `${cases.map((each) => JSON.stringify(each)).join('\n')}\n`);
}

interface Case {
  readonly name: string;
  readonly stage: 'canary' | 'rolling' | 'complete';
  readonly scenario: string;
  readonly windows: number;
  readonly plan?: Readonly<Record<string, unknown>>;
  /** What stands for the stage before where there is no control arm. */
  readonly baseline?: 'counts' | 'rates';
}

const CASES: readonly Case[] = [
  { name: 'equal', stage: 'canary', scenario: 'a/a', windows: 4 },
  { name: 'passed', stage: 'rolling', scenario: 'a/a', windows: 30 },
  { name: 'errors', stage: 'canary', scenario: 'errors x5', windows: 24 },
  { name: 'errors seem', stage: 'rolling', scenario: 'errors x2', windows: 3 },
  { name: 'errors late', stage: 'rolling', scenario: 'errors x5 late', windows: 32 },
  { name: 'one model', stage: 'canary', scenario: 'one model of five', windows: 20 },
  { name: 'keys', stage: 'canary', scenario: 'sticky keys', windows: 10 },
  { name: 'keys that fail', stage: 'rolling', scenario: 'failing keys', windows: 10 },
  { name: 'hangs', stage: 'canary', scenario: 'hangs', windows: 8 },
  { name: 'outage of both', stage: 'rolling', scenario: 'outage of both', windows: 22 },
  { name: 'alone by rates', stage: 'complete', scenario: 'a/a', windows: 5, baseline: 'rates' },
  { name: 'alone by counts', stage: 'complete', scenario: 'errors x2', windows: 8, baseline: 'counts' },
  { name: 'alone and worse', stage: 'complete', scenario: 'errors x5', windows: 12, baseline: 'counts' },
  { name: 'held back', stage: 'complete', scenario: 'errors x5', windows: 24, plan: { holdback: 0.05 } },
  { name: 'little traffic', stage: 'canary', scenario: 'a/a', windows: 20, plan: { profile: 'small' } },
];

function recordCase({ name, stage: stageName, scenario: of, windows, plan = {}, baseline }: Case) {
  const parsed = planSchema.parse({ route: 'chat', holdback: 0, ...plan });
  const stage = parsed.stages.find((each) => each.name === stageName);
  const before = parsed.stages.find((each) => each.name === 'rolling') ?? stage;
  if (stage === undefined || before === undefined) throw new Error(`expected a stage ${stageName}`);
  const judged = { ...stage, share: stage.share - (stage.holdback ?? 0) };
  const evidence = drawn(judged, of, windows, 7);
  const input: Omit<GateInput, 'evidence'> = {
    windowRequests: { legacy: 0, candidate: 0 },
    probes: { legacy: WELL, candidate: WELL },
    burnIn: false,
    silent: [],
    baseline: baseline === undefined ? null : baselineOf(before, baseline),
  };
  return {
    name,
    stage: judged,
    input: { ...input, evidence },
    verdict: judgeStage(judged, EPOCH, { ...input, evidence }),
  };
}

const EPOCH = 1;
const WELL = { probes: 20, failures: 0, passedInARow: 20, failedInARow: 0, meanMs: 40 };

function baselineOf(stage: StagePlan, what: 'counts' | 'rates'): Baseline | null {
  const evidence = drawn(stage, 'a/a', 6, 8);
  const { baseline } = judgeStage(stage, EPOCH, {
    evidence,
    windowRequests: { legacy: 0, candidate: 0 },
    probes: { legacy: WELL, candidate: WELL },
    burnIn: false,
    silent: [],
    baseline: null,
  });
  return baseline === null || what === 'rates' ? baseline : { ...baseline, before: evidence };
}

function drawn(stage: StagePlan, of: string, windows: number, seed: number): StageEvidence {
  const scenario = SCENARIOS.find(({ name }) => name === of);
  if (scenario === undefined) throw new Error(`expected a scenario ${of}`);
  const { failureRate, streamShare, totalMs, firstTokenMs } = ASSUMED_TRAFFIC;
  const at = (window: number) => (window + 0.5) * stage.windowMs;
  const draws = rehearse(
    {
      ...{ share: stage.share, requestsPerWindow: 700, streamShare, totalMs, firstTokenMs },
      legacy: { failureRate, latencyFactor: 1 },
      candidate: (window) => scenario.candidate(stage, ASSUMED_TRAFFIC, at(window)),
      conditions: (window) => scenario.conditions?.(at(window), seed) ?? CALM,
      keys: scenario.keys,
      models: scenario.models ?? 1,
    },
    EPOCH,
    seededRandom(seed),
  );
  let evidence = noStageEvidence(EPOCH);
  for (let window = 0; window < windows; window += 1) {
    const kind = { burnIn: false, shareApplied: true, share: stage.share };
    evidence = withWindow(evidence, draws.next().value, kind);
  }
  return evidence;
}

main(process.argv[2] ?? 'verdicts.json');
