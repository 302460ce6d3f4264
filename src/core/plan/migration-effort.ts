import { LONG_CONTEXT_EVERY, type ProbeKind, probeKindsOf } from '../assessment/probe-rotation';
import { ASSESSED_TURNS } from '../identity/identity-questions';
import { HOUR_MS } from '../text/duration';
import { referencePlanOf } from './identity-plan';
import { type Plan, type StagePlan, stageKind } from './plan';

/** What a migration sends beside the traffic that it moves: as much of a plan as decides what moving costs. */
export interface MigrationEffort {
  /** Stages that serve both providers. */
  readonly split: readonly { readonly name: string; readonly share: number; readonly hours: number }[];
  /** Stages that only copy, by what their copies may cost; absent where there are none. */
  readonly copying?: readonly { readonly name: string; readonly maxCostUsd: number }[];
  /** What the judge of a stage that copies may cost; absent where none is asked. */
  readonly judge?: { readonly name: string; readonly model: string; readonly maxCostUsd: number };
  /** Questions to the candidate about which model it serves; absent where none are asked. */
  readonly identity?: { readonly assessed: number; readonly perHour: number; readonly hours: number };
  /** To each provider. */
  readonly probes: readonly { readonly kind: ProbeKind; readonly count: number }[];
  /** Null when no golden prompts are compared. */
  readonly parity: { readonly leastPrompts: number; readonly maxCostUsd: number | null } | null;
}

/** The effort of a migration that is never held, paused or rolled back: every stage as long as its soak. */
export function plannedEffort(plan: Plan): MigrationEffort {
  const { stages, probes, parity } = plan;
  const copying = stages.flatMap(({ name, mirror, maxCostUsd = 0 }) =>
    mirror === undefined ? [] : [{ name, maxCostUsd }],
  );
  const judged = stages.find(({ judge }) => judge !== undefined);
  const reference = referencePlanOf(plan);
  const soakMs = stages.reduce((sum, stage) => sum + stage.soakMs, 0);
  return {
    split: stages
      .filter((stage) => stageKind(stage) === 'split')
      .map(({ name, share, soakMs: own }) => ({ name, share, hours: own / HOUR_MS })),
    ...(copying.length === 0 ? {} : { copying }),
    ...(judged?.judge === undefined
      ? {}
      : {
          judge: { name: judged.name, model: judged.judge.model, maxCostUsd: judged.judge.maxCostUsd },
        }),
    ...(reference === null
      ? {}
      : { identity: { assessed: ASSESSED_TURNS, perHour: reference.perHour, hours: soakMs / HOUR_MS } }),
    probes: probesOf(probes, Math.ceil(soakMs / probes.intervalMs) + assessProbes(stages)),
    parity:
      parity === undefined ? null : { leastPrompts: parity.minimumPrompts, maxCostUsd: parity.maxCostUsd },
  };
}

function assessProbes(stages: readonly StagePlan[]): number {
  return stages
    .filter((stage) => stageKind(stage) === 'assess')
    .reduce((sum, { minimumSample }) => sum + minimumSample, 0);
}

/** Long contexts are sent seldom, all other kinds in turn. */
function probesOf(plan: Plan['probes'], count: number): MigrationEffort['probes'] {
  const kinds = probeKindsOf(plan);
  const light = kinds.filter((kind) => kind !== 'longContext');
  const long = light.length < kinds.length ? Math.ceil(count / LONG_CONTEXT_EVERY) : 0;
  return [
    ...light.map((kind) => ({ kind, count: Math.ceil((count - long) / light.length) })),
    ...(long > 0 ? [{ kind: 'longContext' as const, count: long }] : []),
  ];
}
