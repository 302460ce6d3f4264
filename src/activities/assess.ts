import { activityInfo, Context } from '@temporalio/activity';
import type { AssessInput } from '../contract';
import { assessProviders, assessSplit, identityFindings, summarise } from '../core/assessment/assessment';
import { compareIdentity } from '../core/assessment/declared-identity';
import { probeKindAfter } from '../core/assessment/probe-rotation';
import { withProbe } from '../core/assessment/probe-streak';
import { NO_PROBES, type ProbeRecord } from '../core/gates/verdict';
import type { AssessmentSummary } from '../core/migration/migration-state';
import type { Ports } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';
import { locateGateways } from './locate-gateways';
import { candidateModels as namesAtCandidate } from './read-identity';

/** Probes follow each other at least this fast: an assessment is not a soak. */
const PROBE_PAUSE_MOST_MS = 1_000;

interface Progress {
  readonly probes: ProbeRecord;
  readonly errors: readonly string[];
}

const NOT_BEGUN: Progress = { probes: { legacy: NO_PROBES, candidate: NO_PROBES }, errors: [] };

/**
 * Asks both providers what they serve and whether they answer, and looks at how legacy's traffic would be split.
 * A later attempt goes on where the heartbeat says that the one before it stopped: no probe is paid for twice.
 */
export function createAssess(ports: Ports): (input: AssessInput) => Promise<AssessmentSummary> {
  return async (input) => {
    const telemetry = ports.telemetry.stage({
      route: input.route,
      stage: input.stage.name,
      shareAsked: input.record.share,
      soakRequiredMs: input.stage.soakMs,
      gateways: [],
    });
    let progress = (activityInfo().heartbeatDetails as Progress | undefined) ?? NOT_BEGUN;
    try {
      return await withHeartbeats(
        () =>
          assess(ports, input, progress, (reached) => {
            progress = reached;
          }),
        () => progress,
      );
    } catch (error) {
      throw asFailure(error);
    } finally {
      telemetry.end(null);
    }
  };
}

async function assess(
  ports: Ports,
  input: AssessInput,
  before: Progress,
  report: (progress: Progress) => void,
): Promise<AssessmentSummary> {
  const { route, probes: plan, stage } = input;
  const context = Context.current();
  const limits = { timeoutMs: plan.timeoutMs, signal: context.cancellationSignal };
  const [legacyModels, candidateModels] = await Promise.all([
    ports.providers.probe(route, 'legacy', 'models', limits),
    ports.providers.probe(route, 'candidate', 'models', limits),
  ]);
  const declared = input.identity?.declared;
  const identity =
    declared === undefined
      ? null
      : compareIdentity(declared, namesAtCandidate(ports, route), candidateModels);
  let progress = before;
  // Nothing is paid for where another model answers.
  while (identity?.outcome !== 'other' && progress.probes.candidate.probes < stage.minimumSample) {
    const kind = probeKindAfter(plan, progress.probes.candidate.probes);
    const [legacy, candidate] = await Promise.all([
      ports.providers.probe(route, 'legacy', kind, limits),
      ports.providers.probe(route, 'candidate', kind, limits),
    ]);
    const errors = [
      ...(legacy.ok ? [] : [`legacy ${kind}: ${legacy.error}`]),
      ...(candidate.ok ? [] : [`candidate ${kind}: ${candidate.error}`]),
    ];
    progress = {
      probes: {
        legacy: withProbe(progress.probes.legacy, legacy),
        candidate: withProbe(progress.probes.candidate, candidate),
      },
      errors: [...progress.errors, ...errors].slice(-5),
    };
    report(progress);
    context.heartbeat(progress);
    await ports.clock.sleep(Math.min(plan.intervalMs, PROBE_PAUSE_MOST_MS), context.cancellationSignal);
    context.cancellationSignal.throwIfAborted();
  }
  const { members } = await locateGateways(ports, route, input.roster);
  const statuses = members.flatMap(({ answer }) => (answer.kind === 'ok' ? [answer.value] : []));
  return summarise({
    findings: [
      ...assessProviders({
        mapping: ports.providers.models(route),
        legacyModels,
        candidateModels,
        probes: progress.probes,
        errors: progress.errors,
        floor: stage.gates.floor.success,
      }),
      ...identityFindings(identity),
      ...assessSplit(input.record.stickyKey, statuses),
    ],
    probes: progress.probes,
    statuses,
    identity,
  });
}
