/**
 * How long a Retry-After header asks to wait, in milliseconds: it gives seconds or a date (RFC 9110, 10.2.3). Null for
 * what is neither; 0 for a date that has passed. `wallMs` is read for dates only.
 */
export function readRetryAfter(value: string, wallMs: () => number): number | null {
  const seconds = Number(value);
  if (value !== '' && Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - wallMs());
}
