import { randomFillSync } from 'node:crypto';

/** What a caller says of its trace, by W3C Trace Context. */
export interface CallerTrace {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** Version 00, and later ones as far as they begin like it. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Takes the trace context out of a flat list of headers: the caller's trace, null where it names none, and the other
 * headers. Without a valid `traceparent`, or with two, `tracestate` belongs to nothing and goes as well.
 */
export function takeTraceContext(headers: readonly string[]): {
  readonly caller: CallerTrace | null;
  readonly rest: readonly string[];
} {
  const values: string[] = [];
  const rest: string[] = [];
  const states: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    const value = headers[index + 1] as string;
    const kind = name.length === 11 ? name.toLowerCase() : name.length === 10 ? name.toLowerCase() : '';
    if (kind === 'traceparent') values.push(value);
    else if (kind === 'tracestate') states.push(name, value);
    else rest.push(name, value);
  }
  const caller = values.length === 1 ? readTraceparent(values[0] as string) : null;
  return { caller, rest: caller === null ? rest : [...rest, ...states] };
}

function readTraceparent(value: string): CallerTrace | null {
  const match = TRACEPARENT.exec(value.trim());
  // The first version has nothing behind the flags.
  if (match === null || (match[4] !== undefined && value.trim().startsWith('00'))) return null;
  const [, traceId, spanId, flags] = match as unknown as [string, string, string, string];
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function traceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

const POOL = Buffer.alloc(4_096);
let used = POOL.length;

/** Random bytes in hex, drawn many at a time; never only zeros. */
export function randomHex(bytes: 8 | 16): string {
  for (;;) {
    if (used + bytes > POOL.length) {
      randomFillSync(POOL);
      used = 0;
    }
    const hex = POOL.toString('hex', used, used + bytes);
    used += bytes;
    if (!/^0+$/.test(hex)) return hex;
  }
}

/** Whether a trace is kept at a ratio: by the last seven bytes of its id, as other programs decide. */
export function isSampled(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true;
  return Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52;
}
