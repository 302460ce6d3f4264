import { setTimeout as pause } from 'node:timers/promises';
import type { EvidenceCell } from '../src/core/evidence/evidence';
import { rowOf } from '../src/core/evidence/rate-row';
import { noStageEvidence } from '../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../src/core/evidence/stage/stage-window';
import { judgeStage } from '../src/core/gates/judge-stage';
import { seededRandom } from '../src/core/rehearsal/rehearsal';
import { proportionInterval } from '../src/core/statistics/clopper-pearson';
import { MODEL, startTestGateway } from '../test/support/gateways/running-gateway';
import { ALL_WELL, aStage } from '../test/support/migrations/gate-evidence';
import {
  DONE,
  type Fault,
  type FaultProvider,
  sse,
  startFaultProvider,
  status,
  well,
} from '../test/support/providers/fault-provider';
import { readOptions, runBench } from './bench-program';

const ABOUT = `Sends requests through a real gateway to two providers that do the same, and judges the rolling stage.

Each run is one stage at a share of 50%, judged after every window. Prints by kind of trouble how many runs were rolled
back, and how far apart the failure rates of the arms were, in standard errors of their difference.`;

const AT_ONCE = 16;
const WINDOW = 150;
/** A caller of an answer that hangs leaves after so long. */
const PATIENCE_MS = 150;

/** What both providers do; each by a generator of its own. */
interface Trouble {
  readonly name: string;
  /** What a provider does with its requests while `part` of the run, from 0 to 1, is over. */
  readonly fault: (random: () => number, part: () => number) => Fault;
  readonly streams?: true;
}

const sometimes =
  (chance: number, fault: Fault) =>
  (random: () => number): Fault =>
  (exchange) =>
    (random() < chance ? fault : well)(exchange);

const TROUBLES: readonly Trouble[] = [
  { name: '429 with Retry-After', fault: sometimes(1 / 30, status(429, { 'retry-after': '0.1' })) },
  {
    name: 'an outage of both',
    fault: (_, part) => (exchange) => (part() > 0.4 && part() < 0.6 ? status(503) : well)(exchange),
  },
  { name: '404 at random', fault: sometimes(0.05, status(404)) },
  { name: 'empty streams', fault: sometimes(0.02, sse([DONE])), streams: true },
  { name: 'hangs', fault: sometimes(0.02, () => {}) },
];

interface Run {
  readonly rolledBackBy: string | null;
  /** Standard errors between the failure rates of the arms; 0 where nothing failed. */
  readonly distance: number;
  readonly shed: number;
}

async function main(): Promise<void> {
  const options = readOptions('bench:alike-arms', ABOUT, {
    runs: ['of each kind of trouble, by the seeds from 1 on', 40],
    requests: ['in each run', 1_500],
    only: ['only kinds of trouble whose name contains this', []],
  });
  const troubles = TROUBLES.filter(
    ({ name }) => options.only.length === 0 || options.only.some((text) => name.includes(text)),
  );
  if (troubles.length === 0) {
    throw new Error(`--only: expected part of one of ${TROUBLES.map(({ name }) => name).join(', ')}`);
  }
  const all: Run[] = [];
  for (const trouble of troubles) {
    const runs: Run[] = [];
    for (let seed = 1; seed <= options.runs; seed += 1)
      runs.push(await rehearsed(trouble, options.requests, seed));
    all.push(...runs);
    process.stdout.write(`${trouble.name}: ${summary(runs)}\n`);
  }
  process.stdout.write(`all together: ${summary(all)}\n`);
}

async function rehearsed({ fault, streams }: Trouble, requests: number, seed: number): Promise<Run> {
  let asked = 0;
  const part = () => asked / requests;
  const provider = (salt: number) => startFaultProvider(fault(seededRandom(2 * seed + salt), part));
  const [legacy, candidate] = [await provider(0), await provider(1)] as [FaultProvider, FaultProvider];
  const gateway = await startTestGateway({
    legacyUrl: legacy.url,
    candidateUrl: candidate.url,
    settings: { breaker: { open: '50ms', openMax: '100ms' } },
    route: { replayBudget: { ratio: 1, burst: 10_000 } },
  });
  try {
    const stage = aStage('rolling');
    await gateway.route(stage.share, { salt: `run ${seed}` });
    const held = gateway.routes.get('chat');
    if (held === undefined) throw new Error('expected the route chat');
    const { epoch } = held.state;
    const body = JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: 'Hello?' }],
      ...(streams === undefined ? {} : { stream: true }),
    });
    let evidence = noStageEvidence(epoch);
    let cursor: string | undefined;
    let rolledBackBy: string | null = null;
    while (asked < requests) {
      const until = Math.min(requests, asked + WINDOW);
      const caller = async () => {
        while (asked < until) {
          asked += 1;
          await ask(gateway.dataUrl, body);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, caller));
      // What a caller left behind is counted once the gateway has seen it go.
      await pause(20);
      const reading = held.evidence.read(epoch, cursor);
      cursor = reading.cursor;
      evidence = withWindow(evidence, reading.evidence, {
        burnIn: false,
        shareApplied: true,
        share: stage.share,
      });
      const { harm } = judgeStage(stage, epoch, {
        ...ALL_WELL,
        evidence,
        foresees: false,
      });
      rolledBackBy ??= harm;
    }
    return { rolledBackBy, ...apart(held.evidence.peek(epoch).evidence.cells) };
  } finally {
    await gateway.stop();
    await Promise.all([legacy.stop(), candidate.stop()]);
  }
}

/** One request by a caller who does not wait for long. */
async function ask(url: string, body: string): Promise<void> {
  try {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer a-callers-key' },
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    await answer.arrayBuffer();
  } catch {
    // What fails is what the run is about: the gateway counts it.
  }
}

/** How far apart the arms are in what was not answered: failures, and callers who left. */
function apart(cells: readonly EvidenceCell[]): Pick<Run, 'distance' | 'shed'> {
  const live = cells.filter(({ kind }) => kind === 'live');
  const { rates, left, shed } = rowOf(live, 0, () => -1);
  const [asked, moved] = [rates[0] + left.legacy, rates[2] + left.candidate];
  const [failures, failed] = [rates[1] + left.legacy, rates[3] + left.candidate];
  const rate = (failures + failed) / (asked + moved);
  const error = Math.sqrt(rate * (1 - rate) * (1 / asked + 1 / moved));
  const distance = error === 0 ? 0 : (failed / moved - failures / asked) / error;
  return { distance, shed: shed.legacy + shed.candidate };
}

function summary(runs: readonly Run[]): string {
  const rolledBack = runs.flatMap(({ rolledBackBy }) => (rolledBackBy === null ? [] : [rolledBackBy]));
  const { low, high } = proportionInterval(rolledBack.length, runs.length, 0.05);
  const mean = runs.reduce((sum, { distance }) => sum + distance, 0) / runs.length;
  const beyond = runs.filter(({ distance }) => Math.abs(distance) > 2).length;
  const shed = runs.reduce((sum, run) => sum + run.shed, 0) / runs.length;
  return [
    `rolled back ${rolledBack.length} of ${runs.length} [${percent(low)}, ${percent(high)}]`,
    `arms apart by ${mean.toFixed(2)} standard errors on average, by more than 2 in ${beyond}`,
    `requests excluded while the candidate was closed ${shed.toFixed(0)} per run`,
    ...(rolledBack.length === 0 ? [] : [`by ${[...new Set(rolledBack)].join('; ')}`]),
  ].join(', ');
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)}%`;
}

void runBench('bench:alike-arms', main);
