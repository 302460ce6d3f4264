import { canonicalJson } from '../record/digest';
import { formatDuration } from '../text/duration';
import { isJsonObject } from '../text/json-object';
import { formatShare, type Plan, type StagePlan } from './plan';

/** One difference between two plans of a route. `from` is absent for what is new, `to` for what is gone. */
export interface PlanChange {
  /** The stage's name; null for what belongs to the whole plan. */
  readonly stage: string | null;
  /** The field within the stage or the plan, as `Plan` calls it: `deadline.holdMs`; empty: the whole stage. */
  readonly path: string;
  readonly from?: unknown;
  readonly to?: unknown;
}

/**
 * What changes from one plan to another, stages compared by name. A stage's own `alpha` is left out: it follows from
 * the plan's and from the number of the entry.
 */
export function planChanges(before: Plan, after: Plan): readonly PlanChange[] {
  const { stages: stagesBefore, ...planBefore } = before;
  const { stages: stagesAfter, ...planAfter } = after;
  const gone = stagesBefore.filter(({ name }) => stageNamed(after, name) === undefined);
  return [
    ...fieldChanges(null, '', planBefore, planAfter),
    ...gone.map((stage) => ({ stage: stage.name, path: '', from: stage })),
    ...stagesAfter.flatMap((stage): readonly PlanChange[] => {
      const earlier = stageNamed(before, stage.name);
      if (earlier === undefined) return [{ stage: stage.name, path: '', to: stage }];
      return fieldChanges(stage.name, '', withoutAlpha(earlier), withoutAlpha(stage));
    }),
  ];
}

function stageNamed({ stages }: Plan, name: string): StagePlan | undefined {
  return stages.find((stage) => stage.name === name);
}

function withoutAlpha({ alpha: _, ...stage }: StagePlan): Omit<StagePlan, 'alpha'> {
  return stage;
}

/** Compared whole: what belongs together is read together. */
const WHOLE: readonly string[] = ['rollout', 'approval'];

function fieldChanges(stage: string | null, path: string, from: unknown, to: unknown): readonly PlanChange[] {
  if (same(from, to)) return [];
  const isWhole = WHOLE.includes(path) || !(isJsonObject(from ?? {}) && isJsonObject(to ?? {}));
  if (isWhole) {
    return [{ stage, path, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }];
  }
  const fieldsFrom = (from ?? {}) as Readonly<Record<string, unknown>>;
  const fieldsTo = (to ?? {}) as Readonly<Record<string, unknown>>;
  const names = [...new Set([...Object.keys(fieldsFrom), ...Object.keys(fieldsTo)])];
  return names.flatMap((name) =>
    fieldChanges(stage, path === '' ? name : `${path}.${name}`, fieldsFrom[name], fieldsTo[name]),
  );
}

function same(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalJson(a) === canonicalJson(b);
}

/** A change as people read it: `canary.soak`, `24 h`, `12 h`. */
export function changeTexts({ stage, path, from, to }: PlanChange): {
  readonly what: string;
  readonly from: string;
  readonly to: string;
} {
  if (path === '') {
    return { what: `stage ${stage}`, from: stageText(from), to: stageText(to) };
  }
  // Plans call durations without their unit; what is in milliseconds there as well keeps its name.
  const isDuration = path.endsWith('Ms') && !path.endsWith('ignoreBelowMs');
  const field = isDuration ? path.slice(0, -2) : path;
  const text = (value: unknown) => valueText(value, isDuration);
  return { what: stage === null ? field : `${stage}.${field}`, from: text(from), to: text(to) };
}

/** A change in a line: `canary.soak: 24 h -> 12 h`. */
export function changeText(change: PlanChange): string {
  const { what, from, to } = changeTexts(change);
  return `${what}: ${from} -> ${to}`;
}

function stageText(stage: unknown): string {
  if (stage === undefined) return 'none';
  const { share, soakMs } = stage as StagePlan;
  return `${formatShare(share)}, soak ${formatDuration(soakMs)}`;
}

function valueText(value: unknown, isDuration: boolean): string {
  if (value === undefined) return 'none';
  if (value === null) return 'never';
  if (isDuration && typeof value === 'number') return formatDuration(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
