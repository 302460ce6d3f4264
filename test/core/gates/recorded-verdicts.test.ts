import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { judgeStage } from '../../../src/core/gates/judge-stage';
import type { GateInput, GateVerdict, MetricVerdict } from '../../../src/core/gates/verdict';
import type { StagePlan } from '../../../src/core/plan/plan';

interface RecordedVerdict {
  readonly name: string;
  readonly stage: StagePlan;
  readonly input: GateInput;
  readonly verdict: GateVerdict;
}

const recorded = readFileSync(join(__dirname, 'verdicts-rules-3.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as RecordedVerdict);

/** Since rules 4 numbers that a metric does not have are left out. */
function withoutNulls(metric: MetricVerdict) {
  const sentence = metric.sentence.replace(/more than (\S+) times as many as it seems/, IN_TODAYS_WORDS);
  return Object.fromEntries(Object.entries({ ...metric, sentence }).filter(([, value]) => value !== null));
}

const IN_TODAYS_WORDS = 'apparently more than $1 times as many';

/** Latencies are judged by other processes since; everything else of an older plan is judged as it was. */
const isLatency = (metric: string) => /^p\d/.test(metric);
/** Since rules 5 the split of sticky keys is deflated in another way, and since rules 6 all that goes by keys. */
const isKeyed = ({ evidence }: GateInput) => evidence.keysSeen !== '';

it.each(recorded.map((each) => [each.name, each] as const))(
  'judges what rules 3 recorded to the same digits: %s',
  (_name, { stage, input, verdict }) => {
    const today = JSON.parse(JSON.stringify(judgeStage(stage, verdict.epoch, input))) as GateVerdict;
    const others = ({ metrics }: GateVerdict) => {
      const kept = metrics.filter(({ metric }) => !isLatency(metric));
      return isKeyed(input)
        ? kept.map(({ metric, outcome }) => ({ metric, outcome }))
        : kept.map(withoutNulls);
    };
    expect(others(today)).toEqual(others(verdict));
    expect({ outcome: today.outcome, harm: today.harm, pause: today.pause }).toEqual({
      outcome: verdict.outcome,
      harm: verdict.harm,
      pause: verdict.pause,
    });
  },
);
