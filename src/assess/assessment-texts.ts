/** What a source does not carry is never shown as zero. */
export const NOT_HERE = 'not in this source';

export const WEEKDAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;

const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Names come from logs: control and direction characters become visible, and long ones are cut. */
export function shown(text: string): string {
  const visible = text.replace(
    UNSEEN,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return visible.length > 200 ? `${visible.slice(0, 199)}…` : visible;
}

/** Dollars and cents; two digits of what is less than a cent. */
export function dollars(usd: number): string {
  const size = Math.abs(usd);
  const places = size >= 0.01 || size === 0 ? 2 : Math.min(12, 1 - Math.floor(Math.log10(size)));
  const sign = usd < 0 ? '-' : '';
  return `${sign}$${Math.abs(usd).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: places })}`;
}

export function count(value: number | null): string {
  return value === null ? NOT_HERE : integer(value);
}

export function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function short(value: number): string {
  return value >= 100 ? integer(value) : value.toPrecision(3);
}

export function minute(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
