/** What lines of a log are asked for; what is absent lets every line pass. */
export interface LogFilter {
  readonly route?: string;
  readonly arm?: string;
  readonly outcome?: string;
}

type Line = Readonly<Record<string, unknown>>;

/** Whether a line is asked for. A line that is no request's has no route, arm or outcome: it passes only where none is asked for. */
export function isWanted(line: string, { route, arm, outcome }: LogFilter): boolean {
  if (route === undefined && arm === undefined && outcome === undefined) return true;
  const read = readLine(line);
  if (read === null) return false;
  return (
    (route === undefined || read['route'] === route) &&
    (arm === undefined || read['arm'] === arm) &&
    (outcome === undefined || String(read['outcome'] ?? '').startsWith(outcome))
  );
}

/** A line as people read it: when, where, who answered, how it ended, how long it took. Anything else is left as it is. */
export function logLineText(line: string): string {
  const read = readLine(line);
  if (read === null || typeof read['time'] !== 'number') return line;
  const at = new Date(read['time']).toISOString().slice(11, 23);
  const gateway = text(read['gateway']);
  if (read['msg'] !== 'request') return `${at} ${gateway} ${levelText(read['level'])} ${text(read['msg'])}`;
  const parts = [
    text(read['route']),
    text(read['arm']),
    text(read['provider']),
    text(read['model']),
    `${text(read['status'])} ${text(read['outcome'])}`,
    `${text(read['ms'])} ms`,
    ...(typeof read['failover'] === 'string' ? [`failover: ${read['failover']}`] : []),
  ];
  return `${at} ${gateway} ${parts.join('  ')}`;
}

function readLine(line: string): Line | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Line) : null;
  } catch {
    return null;
  }
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '-';
}

function levelText(level: unknown): string {
  return typeof level === 'number' && level >= 40 ? (level >= 50 ? 'error' : 'warning') : 'info';
}
