import type { GateVerdict } from '../gates/verdict';
import { judgeAgain, type RecordedWindow } from './recorded-window';

/** A stored verdict beside the one that its recorded evidence gives now. */
export interface Explanation {
  readonly window: RecordedWindow;
  readonly recomputed: GateVerdict;
  /** The rules of the stored verdict (`JUDGING_RULES` of the release that judged). */
  readonly rules: number;
  /** Where they differ; empty when they agree. Under other rules than today's that proves nothing. */
  readonly differences: readonly Difference[];
}

/** One place at which two verdicts differ, as JSON. */
export interface Difference {
  readonly path: string;
  readonly stored: string;
  readonly recomputed: string;
}

/** Recomputes a stored verdict from its recorded evidence; throws `UnreadableWindow`. */
export function explainWindow(window: RecordedWindow): Explanation {
  const recomputed = judgeAgain(window);
  const stored = window.result.verdict;
  const { rules = FIRST_RULES } = stored;
  const differences = differencesOf({ ...stored, rules }, { ...recomputed, rules });
  return { window, recomputed, rules, differences };
}

/** What verdicts were judged by that do not say it. */
const FIRST_RULES = 1;

/** Where two values differ once both are JSON. */
function differencesOf(stored: unknown, recomputed: unknown): Difference[] {
  return [...compare(asJson(stored), asJson(recomputed), '')];
}

function asJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function* compare(stored: unknown, recomputed: unknown, path: string): Generator<Difference> {
  if (isObject(stored) && isObject(recomputed)) {
    const [one, other] = [byName(stored), byName(recomputed)];
    for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
      const place = Array.isArray(stored) ? `${path}[${key}]` : `${path}.${key}`;
      yield* compare(one[key], other[key], place);
    }
  } else if ((stored ?? null) !== (recomputed ?? null)) {
    yield { path: path.replace(/^\./, ''), stored: shown(stored), recomputed: shown(recomputed) };
  }
}

/** Metrics are told by their names, other entries by their number: rules may list other ones. */
function byName(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Array.isArray(value)
    ? Object.fromEntries(
        value.map((entry, index) => [
          isObject(entry) && typeof entry['metric'] === 'string' ? entry['metric'] : index,
          entry,
        ]),
      )
    : value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
