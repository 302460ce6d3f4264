/** A count with thousands grouped: `9,012`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** A count as short as it stays readable: `842`, `12.4k`, `3.1M`. */
export function shortCountText(count: number): string {
  if (count < 10_000) return countText(count);
  const [value, unit] =
    count < 1_000_000 ? [count / 1e3, 'k'] : count < 1e9 ? [count / 1e6, 'M'] : [count / 1e9, 'G'];
  return `${value < 100 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

/** A rate as a percentage with the digits that matter: `0.12%`, `9.8%`, `50%`. */
export function rateText(rate: number | null): string {
  if (rate === null) return '–';
  const percent = rate * 100;
  const digits = percent === 0 || percent >= 99.95 ? 0 : percent < 1 ? 2 : 1;
  return `${Number(percent.toFixed(digits))}%`;
}

/** Milliseconds as people read a latency: `8.4 ms`, `210 ms`, `1.84 s`. */
export function latencyText(durationMs: number | null): string {
  if (durationMs === null) return '–';
  if (durationMs === 0) return '0 ms';
  if (durationMs < 9.95) return `${durationMs.toFixed(1)} ms`;
  return durationMs < 1_000 ? `${Math.round(durationMs)} ms` : `${(durationMs / 1_000).toFixed(2)} s`;
}

/** US dollars: `$0.00042`, `$1.20`, `$1,204`. */
export function usdText(usd: number | null): string {
  if (usd === null) return '–';
  if (usd >= 1_000) return `$${countText(usd)}`;
  return usd >= 0.1 || usd === 0 ? `$${usd.toFixed(2)}` : `$${Number(usd.toPrecision(2))}`;
}

/** An e-value, or what is needed of one: `0.3`, `12.5`, `over a million`. */
export function evidenceNumber(value: number): string {
  if (value >= 1e6) return 'over a million';
  return value < 100 ? String(Number(value.toPrecision(2))) : countText(value);
}

/** Time that is left, in the two units that matter: `3 d 4 h`, `6 h 12 min`, `4 min 10 s`, `12 s`. */
export function timeLeftText(leftMs: number): string {
  const seconds = Math.max(0, Math.ceil(leftMs / 1_000));
  const units: readonly [name: string, count: number][] = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3_600) % 24],
    ['min', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ];
  const first = units.findIndex(([, count]) => count > 0);
  if (first === -1) return '0 s';
  return units
    .slice(first, first + 2)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(' ');
}
