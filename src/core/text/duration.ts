export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: MINUTE_MS,
  min: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
};

/** What a duration text looks like: a number and its unit. */
export const DURATION_PATTERN = /^\s*(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|min|m|h|d)\s*$/;

/** Milliseconds of a text such as `250ms`, `45s`, `10m`, `24h`, `7d`; null when it is no such text. */
export function parseDuration(text: string): number | null {
  const match = DURATION_PATTERN.exec(text);
  if (match === null) return null;
  const unitMs = UNIT_MS[match[2] as string] as number;
  return Math.round(Number(match[1]) * unitMs);
}

/** A duration as people read it: `45 s`, `10 min`, `24 h`, `3 d 4 h`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 120_000) return `${Number((durationMs / 1_000).toFixed(1))} s`;
  if (durationMs < 2 * HOUR_MS) return `${Number((durationMs / MINUTE_MS).toFixed(1))} min`;
  if (durationMs <= 3 * DAY_MS) return `${Number((durationMs / HOUR_MS).toFixed(1))} h`;
  const wholeHours = Math.round(durationMs / HOUR_MS);
  const days = Math.floor(wholeHours / 24);
  const hours = wholeHours % 24;
  return hours === 0 ? `${days} d` : `${days} d ${hours} h`;
}
