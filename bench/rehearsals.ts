import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { alphaAtEntry } from '../src/core/gates/alpha-spending';
import { JUDGING_RULES } from '../src/core/gates/verdict';
import type { Plan, StagePlan } from '../src/core/plan/plan';
import { planSchema } from '../src/core/plan/plan-schema';
import { ASSUMED_TRAFFIC } from '../src/core/plan/traffic';
import { seededRandom } from '../src/core/rehearsal/rehearsal';
import { isRehearsable, rehearseStage, type StageRehearsal } from '../src/core/rehearsal/rehearsal-run';
import { SCENARIOS, type Scenario } from '../src/core/rehearsal/rehearsal-scenario';
import { proportionInterval } from '../src/core/statistics/clopper-pearson';
import { readOptions, runBench } from './bench-program';

const ABOUT = `Rehearses the whole default plan, stage after stage, on traffic as it is, and counts wrong decisions.

Groups:
  equal             a candidate exactly as good as legacy, on each traffic; a held stage is left by an override, and one
                    stage of each run is left at some time of its soak and entered again with fresh evidence
  promotion margin  errors or latency exactly at the limit that must not be promoted, on each traffic
  rollback margin   errors or latency exactly at the limit that is not harm yet, on each traffic
  planted           harm that has to be rolled back or held; a held stage ends the run

Seed after seed over all cases, in one process: stop it at any time, and start it again to go on. Processes that share
the work have a file and --from, --runs of their own. A file of another release's rules is refused.`;

/** One run of a case, as a line of the file. */
interface Line {
  readonly rules: number;
  readonly case: string;
  readonly seed: number;
  readonly stages: readonly (Pick<StageRehearsal, 'decision' | 'metric' | 'wrong' | 'afterMs'> & {
    readonly stage: string;
    readonly entry: number;
    readonly requests: number;
  })[];
}

interface Case {
  readonly group: (typeof GROUPS)[number];
  readonly name: string;
  readonly scenario: Scenario;
}

const GROUPS = ['equal', 'promotion margin', 'rollback margin', 'planted'] as const;

function main(): void {
  const options = readOptions('bench:rehearsals', ABOUT, {
    out: ['JSON lines, one for each run; runs that it holds are not done again', 'rehearsals.jsonl'],
    from: ['the first seed', 1],
    runs: ['of each case, by the seeds from the first on', 1_000],
    group: ['only this group', []],
    only: ['only cases whose name contains this', []],
    stage: ['only this stage of the plan', []],
    summary: ['runs nothing, prints what the file holds', false],
  });
  const unknown = options.group.find((name) => !GROUPS.some((group) => group === name));
  if (unknown !== undefined)
    throw new Error(`--group: expected one of ${GROUPS.join(', ')}, got "${unknown}"`);
  const plan = planSchema.parse({ route: 'rehearsed' });
  const stages = plan.stages.filter(isRehearsable);
  const missing = options.stage.find((name) => !stages.some((stage) => stage.name === name));
  if (missing !== undefined)
    throw new Error(
      `--stage: expected one of ${stages.map(({ name }) => name).join(', ')}, got "${missing}"`,
    );
  const wanted = stages.filter(({ name }) => options.stage.length === 0 || options.stage.includes(name));
  const cases = casesOf().filter(
    ({ group, name }) =>
      (options.group.length === 0 || options.group.includes(group)) &&
      (options.only.length === 0 || options.only.some((text) => name.includes(text))),
  );
  if (cases.length === 0)
    throw new Error(`expected a case named like ${options.only.join(' or ')}, got none`);
  const lines = readLines(options.out);
  if (!options.summary) {
    const done = new Set(lines.map((line) => `${line.case} ${line.seed}`));
    for (let seed = options.from; seed < options.from + options.runs; seed += 1) {
      for (const each of cases) {
        if (done.has(`${each.name} ${seed}`)) continue;
        const line = rehearseStages({ ...plan, stages: wanted }, each, seed);
        appendFileSync(options.out, `${JSON.stringify(line)}\n`);
        lines.push(line);
      }
    }
  }
  for (const each of cases) process.stdout.write(`${summary(each, lines)}\n`);
}

function readLines(file: string): Line[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Line);
  const other = lines.find(({ rules }) => rules !== JUDGING_RULES);
  if (other !== undefined) {
    throw new Error(
      `${file}: expected runs by rules ${JUDGING_RULES}, got rules ${other.rules}; name another file`,
    );
  }
  return lines;
}

/** Traffic on which both providers do the same. */
const TRAFFICS = [
  ...['a/a', 'days', 'weekend', 'wandering', 'longer prompts', 'half as slow', 'slow hour', 'outage of both'],
  ...['retries', 'lapse', 'sticky keys', 'own levels', 'five models', 'as it is'],
];

const MARGINS = [
  ['promotion margin', 'errors at promotion margin'],
  ['promotion margin', 'p95 +20%'],
  ['rollback margin', 'errors at rollback margin'],
  ['rollback margin', 'p95 +50%'],
] as const;

const PLANTED = [
  ...['one model of five', 'p95 +45% late', 'hangs', 'far tail', 'failing keys', 'errors x5 late'],
  ...['faster, more errors', 'errors x5', 'p95 x2'],
];

function casesOf(): Case[] {
  const known = (name: string): Scenario => {
    const scenario = SCENARIOS.find((each) => each.name === name);
    if (scenario === undefined) throw new Error(`expected a scenario "${name}"`);
    return scenario;
  };
  const equal = TRAFFICS.map(
    (name): Case => ({ group: 'equal', name: `equal: ${name}`, scenario: known(name) }),
  );
  const margins = MARGINS.flatMap(([group, margin]) =>
    TRAFFICS.map((name): Case => {
      const { candidate } = known(margin);
      return { group, name: `${margin}: ${name}`, scenario: { ...known(name), candidate } };
    }),
  );
  const planted = PLANTED.map(
    (name): Case => ({ group: 'planted', name: `planted: ${name}`, scenario: known(name) }),
  );
  return [...equal, ...margins, ...planted];
}

/** A held stage is left as by an override, so that later ones are judged as well; what is planted is found by it. */
function rehearseStages(plan: Plan, { group, name, scenario }: Case, seed: number): Line {
  const done: Line['stages'][number][] = [];
  for (const [index, stage] of entriesOf(plan, group, seed).entries()) {
    const { decision, metric, wrong, afterMs, candidateRequests } = rehearseStage({
      stage,
      traffic: ASSUMED_TRAFFIC,
      scenario,
      seed: 10 * seed + index,
    });
    const entry = index + 1;
    done.push({ stage: stage.name, entry, decision, metric, wrong, afterMs, requests: candidateRequests });
    if (decision === 'rolled back' || (group === 'planted' && decision !== 'promoted')) break;
  }
  return { rules: JUDGING_RULES, case: name, seed, stages: done };
}
/**
 * The stages as a run enters them, each with the alpha of its entry. With an equal candidate one stage, drawn by the
 * seed, is left at some time of its soak (the hold is its end then) and entered again.
 */
function entriesOf({ alpha, stages }: Plan, group: Case['group'], seed: number): StagePlan[] {
  if (group !== 'equal' || alpha === undefined) return [...stages];
  const random = seededRandom(-seed);
  const again = Math.floor(random() * stages.length);
  const part = random();
  return stages
    .flatMap((stage, index) => {
      if (index !== again) return [{ stage, index }];
      const left = { ...stage, deadline: { ...stage.deadline, holdMs: part * stage.soakMs } };
      return [
        { stage: left, index },
        { stage, index },
      ];
    })
    .map(({ stage, index }, entry) => ({ ...stage, alpha: alphaAtEntry(alpha, entry + 1, index + 1) }));
}

/** What the runs of a case came to, with 95% intervals. */
function summary({ group, name }: Case, lines: readonly Line[]): string {
  const runs = lines.filter((line) => line.case === name);
  const of = (part: readonly Line[]) => {
    const { low, high } = proportionInterval(part.length, runs.length, 0.05);
    return `${part.length} of ${runs.length} [${percent(low)}, ${percent(high)}]`;
  };
  if (runs.length === 0) return `${name}: no runs`;
  const some = (test: (stage: Line['stages'][number]) => boolean) =>
    runs.filter(({ stages }) => stages.some(test));
  const rolledBack = some(({ decision }) => decision === 'rolled back');
  const paused = some(({ decision }) => decision === 'paused');
  const promoted = runs.filter(({ stages }) =>
    stages.every(
      ({ stage, decision }, index) => decision === 'promoted' || stages[index + 1]?.stage === stage,
    ),
  );
  const falsely = some(({ decision, wrong }) => decision === 'rolled back' && wrong);
  const wrongly = some(({ decision, wrong }) => decision === 'promoted' && wrong);
  const parts = {
    equal: [`rolled back ${of(falsely)}`, `every stage passed ${of(promoted)}`],
    'promotion margin': [`promoted wrongly ${of(wrongly)}`, `rolled back ${of(rolledBack)}`],
    'rollback margin': [`rolled back ${of(falsely)}`, `promoted ${of(promoted)}`],
    planted: [
      `rolled back or held ${of(runs.filter((run) => !promoted.includes(run)))}`,
      `rolled back ${of(rolledBack)}`,
    ],
  }[group];
  const metrics = [...new Set(falsely.map(metricOf))].sort().join('; ');
  return [
    `${name}: ${parts.join(', ')}`,
    ...(paused.length === 0 ? [] : [`paused ${of(paused)}`]),
    ...(metrics === '' ? [] : [`by ${metrics}`]),
  ].join(', ');
}

function metricOf({ stages }: Line): string {
  const last = stages.at(-1);
  return `${last?.metric} in ${last?.stage}`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)}%`;
}

void runBench('bench:rehearsals', main);
