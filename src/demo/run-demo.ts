import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { planOfText } from '../client/plan-file';
import type { RunningConsole } from '../console/server/console-server';
import { openConsole } from '../console/server/open-console';
import { type FailedLogin, failedLoginText } from '../core/access/failed-logins';
import { ANSWERS, type GateVerdict } from '../core/gates/verdict';
import type { Checkpoint } from '../core/migration/checkpoint';
import type { MigrationStatus } from '../core/migration/status';
import { formatShare } from '../core/plan/plan';
import { demoConfiguration, demoConfigurationYaml, demoPlan, demoPlanYaml } from './documents';
import type { LoadCounts } from './load';
import { liveLine } from './narrator';
import { type DemoScenario, play } from './scenarios';
import { type DemoStack, startDemoStack } from './stack';

/** What a demo run came to. */
export interface DemoResult {
  readonly outcome: string;
  readonly stages: readonly StageResult[];
  readonly clientRequests: number;
  readonly clientFailures: number;
  readonly candidateFailures: number;
  readonly checkpoints: number;
  readonly historyEvents: number;
  /** From the operator's command, or from the harm seen, to the verified rollback; null where none happened. */
  readonly rollbackMs: number | null;
  /** What the gate saw when it asked for a rollback; null where it did not. */
  readonly harm: string | null;
  /** Why cutover paused by itself; null where it did not. */
  readonly paused: string | null;
}

interface StageResult {
  readonly stage: string;
  readonly entered: boolean;
  /** 0 where it was not entered. */
  readonly share: number;
  readonly observedShare: number | null;
  readonly candidateRequests: number;
  /** Answers of the candidate with status 200 that break their contract. */
  readonly brokenAnswers: number;
}

export interface DemoOptions {
  readonly scenario: DemoScenario;
  readonly say: (line: string) => void;
  /** Whether everything goes on running after the scenario, until `interrupted`. */
  readonly keep: boolean;
  /** Whether the web console is served as well. */
  readonly ui: boolean;
  /** Aborted when the demo is to stop, as by Ctrl-C. */
  readonly interrupted: AbortSignal;
}

/** Thrown when the demo was interrupted before its end; everything it started has been stopped. */
export class DemoInterrupted extends Error {
  override readonly name = 'DemoInterrupted';
}

const LIVE_LINE_MS = 1_000;
const POLL_MS = 200;
const WARM_REQUESTS = 200;
/** Where every answer is computed. */
const TUNED_WARM_REQUESTS = 40;

/** Runs one scenario from start to end and stops everything that it started; throws `DemoInterrupted`. */
export async function runDemo({ say, interrupted, ...options }: DemoOptions): Promise<DemoResult> {
  // What was under way when it was interrupted has nothing more to say.
  const quiet = (line: string): void => {
    if (!interrupted.aborted) say(line);
  };
  try {
    return await playDemo({ say: quiet, interrupted, ...options });
  } catch (error) {
    throw interrupted.aborted ? new DemoInterrupted('interrupted: everything was stopped') : error;
  }
}

async function playDemo({ scenario, say, keep, ui, interrupted }: DemoOptions): Promise<DemoResult> {
  const stack = await startDemoStack({ fineTunes: scenario === 'fine-tuned' }, say, interrupted);
  const consoles: RunningConsole[] = [];
  const ended = aborted(interrupted);
  try {
    const reference = scenario === 'swap' ? await stack.enrol() : null;
    introduce(stack, { scenario, reference }, say);
    if (ui) consoles.push(await openDemoConsole(stack, say));
    const result = await Promise.race([
      migrate(stack, { scenario, reference }, say, interrupted),
      ended.then(() => interrupted.throwIfAborted() as never),
    ]);
    summarise(stack, result, say);
    if (keep) {
      say('running until Ctrl-C');
      await ended;
    }
    return result;
  } finally {
    for (const open of consoles) await open.stop();
    await stack.stop();
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

const CONSOLE_PORT = 8421;

async function openDemoConsole(stack: DemoStack, say: (line: string) => void): Promise<RunningConsole> {
  const options = {
    client: async () => stack.client,
    gateways: stack.admin,
    providersOf: () => ({ legacy: 'legacy-llm', candidate: 'candidate-llm' }),
    readPlan: (text: string) => planOfText(text, 'the plan'),
    by: () => 'demo operator via ui',
    host: '127.0.0.1',
    intervalMs: LIVE_LINE_MS,
    loginFailed: (failure: FailedLogin) => say(failedLoginText(failure)),
  };
  const running = await openConsole({ ...options, port: CONSOLE_PORT }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      return openConsole({ ...options, port: 0 });
    },
  );
  say(`console: ${running.url}#token=${running.token}`);
  return running;
}

/** What is played, and the file of a reference where it is asked which model the candidate serves. */
interface Programme {
  readonly scenario: DemoScenario;
  readonly reference: string | null;
}

function introduce(stack: DemoStack, { scenario, reference }: Programme, say: (line: string) => void): void {
  say(`scenario ${scenario}; the plan (seconds instead of days, wider margins):`);
  const identity = { reference, declared: stack.digest };
  for (const line of demoPlanYaml(identity).trimEnd().split('\n')) say(`  ${line}`);
  say('the configuration:');
  for (const line of demoConfigurationYaml(stack.addresses, 'legacy').trimEnd().split('\n')) say(`  ${line}`);
  if (stack.uiUrl !== undefined) say(`Temporal UI: ${stack.uiUrl}/namespaces/default/workflows`);
}

async function migrate(
  stack: DemoStack,
  { scenario, reference }: Programme,
  say: (line: string) => void,
  interrupted: AbortSignal,
): Promise<DemoResult> {
  const { client, load } = stack;
  // Every wait ends with the demo: one that waits for what was stopped would keep the process for good.
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: interrupted });
  say('warming up until the load flows');
  const warm = stack.digest === null ? WARM_REQUESTS : TUNED_WARM_REQUESTS;
  while (load.counts().requests < warm) await pause(POLL_MS);
  const configuration = demoConfiguration(stack.addresses, 'legacy', '.');
  const started = await client.start({
    plan: demoPlan({ reference, declared: stack.digest }),
    configuration,
    by: 'demo',
    reason: `scenario ${scenario}`,
  });
  say(`started ${started.migrationId} as workflow ${started.workflowId}`);
  if (stack.uiUrl !== undefined) {
    say(
      `  ${stack.uiUrl}/namespaces/default/workflows/${encodeURIComponent(started.workflowId)}/${started.runId}`,
    );
  }
  const startMs = performance.now();
  let status = await client.status('chat');
  let commandRollbackMs: number | null = null;
  const until = async (fits: (status: MigrationStatus) => boolean): Promise<MigrationStatus> => {
    for (;;) {
      if (fits(status)) return status;
      if (status.phase === 'closed') throw new Error(`the migration closed early: ${status.outcome}`);
      await pause(POLL_MS / 2);
    }
  };
  const playing = play(scenario, {
    stack,
    say,
    until,
    pause,
    rolledBackIn: (durationMs) => {
      commandRollbackMs = durationMs;
    },
  });
  // Reported when it is awaited below; until then it must not end the process.
  playing.catch(() => undefined);

  // The migration itself keeps the newest verdicts alone.
  const lastVerdicts = new Map<string, GateVerdict>();
  let nextLineMs = 0;
  while (status.phase !== 'closed') {
    await pause(POLL_MS);
    status = await client.status('chat');
    if (status.verdict !== null) lastVerdicts.set(status.verdict.stage, status.verdict);
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs >= nextLineMs) {
      say(liveLine(elapsedMs, status, load.counts()));
      nextLineMs = elapsedMs + LIVE_LINE_MS;
    }
  }
  await playing;
  await load.stop();
  const checkpoints: Checkpoint[] = [];
  for await (const checkpoint of client.checkpoints('chat')) checkpoints.push(checkpoint);
  for (const verdict of await client.verdicts('chat')) lastVerdicts.set(verdict.stage, verdict);
  const stages = status.stages.map(({ name, share }): StageResult => {
    const last = lastVerdicts.get(name);
    const entered = checkpoints.some((entry) => entry.kind === 'took effect' && entry.stage === name);
    return {
      stage: name,
      entered,
      share: entered ? share : 0,
      observedShare: last?.observedShare ?? null,
      candidateRequests: last?.requests.candidate ?? 0,
      brokenAnswers: brokenAnswers(last),
    };
  });
  const counts: LoadCounts = load.counts();
  return {
    outcome: status.outcome ?? 'unknown',
    stages,
    clientRequests: counts.requests,
    clientFailures: counts.failures,
    candidateFailures: stack.candidate.requests.filter((seen) => seen.status >= 400).length,
    checkpoints: checkpoints.length,
    historyEvents: await client.historyEventCount('chat'),
    rollbackMs: commandRollbackMs ?? harmToVerifiedMs(checkpoints),
    harm: harmOf(checkpoints)?.reason ?? null,
    paused: pausedBecause(checkpoints),
  };
}

function brokenAnswers(verdict: GateVerdict | undefined): number {
  const { breaches = [] } = verdict?.metrics.find(({ metric }) => metric === ANSWERS) ?? {};
  return breaches.reduce((sum, { candidate }) => sum + candidate, 0);
}

function pausedBecause(checkpoints: readonly Checkpoint[]): string | null {
  const pauses = checkpoints.flatMap((entry) =>
    entry.kind === 'recorded' && entry.what === 'paused' && entry.by === 'cutover' ? [entry] : [],
  );
  return pauses[0]?.reason ?? null;
}

function harmOf(checkpoints: readonly Checkpoint[]) {
  return checkpoints.flatMap((entry) =>
    entry.kind === 'recorded' && entry.what === 'harm' ? [entry] : [],
  )[0];
}

/** From the entry that says why, to the one that says that share 0 took effect. */
function harmToVerifiedMs(checkpoints: readonly Checkpoint[]): number | null {
  const harm = harmOf(checkpoints);
  if (harm === undefined) return null;
  const verified = checkpoints.find((entry) => entry.kind === 'took effect' && entry.seq > harm.seq);
  return verified === undefined ? null : verified.atMs - harm.atMs;
}

function summarise(stack: DemoStack, result: DemoResult, say: (line: string) => void): void {
  say(`outcome: ${result.outcome}`);
  if (result.harm !== null) say(`  because: ${result.harm}`);
  if (result.paused !== null) say(`  paused because: ${result.paused}`);
  for (const { stage, entered, share, observedShare, candidateRequests, brokenAnswers } of result.stages) {
    const observed = observedShare === null ? '' : `, ${formatShare(observedShare)} observed`;
    const broken = brokenAnswers === 0 ? '' : `, ${brokenAnswers} answers broke their contract`;
    const came = `${formatShare(share)} asked${observed}, ${candidateRequests} candidate requests judged${broken}`;
    say(`  ${stage.padEnd(10)} ${entered ? came : 'not entered'}`);
  }
  say(
    `${result.clientRequests} requests, ${result.clientFailures} failures reached a caller, ${result.candidateFailures} failures of the candidate`,
  );
  for (const failure of stack.load.counts().firstFailures) say(`  a caller saw: ${failure}`);
  const rollback =
    result.rollbackMs === null ? '' : `, rollback verified in ${Math.round(result.rollbackMs)} ms`;
  say(`${result.checkpoints} checkpoints, ${result.historyEvents} history events${rollback}`);
  if (stack.uiUrl !== undefined) say(`Temporal UI: ${stack.uiUrl} (--keep leaves it running)`);
}
