/** What lines of a log are asked for; what is absent lets every line pass. */
export interface LogFilter {
  readonly route?: string;
  readonly arm?: string;
  readonly outcome?: string;
  readonly attempt?: string;
}

type Line = Readonly<Record<string, unknown>>;

/** Whether a line is asked for. A line that is no request's has no route, arm or outcome: it passes only where none is asked for. */
export function isWanted(line: string, filter: LogFilter): boolean {
  const { route, arm, outcome, attempt } = filter;
  if ([route, arm, outcome, attempt].every((each) => each === undefined)) return true;
  const read = readLine(line);
  if (read === null) return false;
  const attempts = Array.isArray(read['attempts']) ? (read['attempts'] as readonly unknown[]) : [];
  return (
    (route === undefined || read['route'] === route) &&
    (arm === undefined || read['arm'] === arm) &&
    (outcome === undefined || begins(read['outcome'], outcome)) &&
    (attempt === undefined || attempts.some((each) => begins((each as Line | null)?.['outcome'], attempt)))
  );
}

/** A line as people read it: when, where, who answered, how it ended, how long it took. Anything else is left as it is. */
export function logLineText(line: string, nowMs: number): string {
  const read = readLine(line);
  const at = read === null ? null : timeText(read['time'], nowMs);
  if (read === null || at === null) return line;
  const from = text(read['gateway'] ?? read['worker']);
  if (read['msg'] !== 'request') {
    const rest = Object.entries(read).filter(
      ([name]) => !['time', 'gateway', 'worker', 'level', 'msg'].includes(name),
    );
    const fields = rest.map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    return [at, from, levelText(read['level']), text(read['msg']), ...fields].join(' ');
  }
  const parts = [
    text(read['route']),
    text(read['arm']),
    text(read['provider']),
    modelText(read),
    `${text(read['status'])} ${text(read['outcome'])}`,
    `${text(read['ms'])} ms`,
    ...(typeof read['failover'] === 'string' ? [`failover: ${read['failover']}`] : []),
  ];
  return `${at} ${from} ${parts.join('  ')}`;
}

function readLine(line: string): Line | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Line) : null;
  } catch {
    return null;
  }
}

const begins = (value: unknown, beginning: string): boolean =>
  typeof value === 'string' && value.startsWith(beginning);

/** The time of day in UTC, with the date where it is another day's; null for what is not a time. */
function timeText(time: unknown, nowMs: number): string | null {
  if (typeof time !== 'number' || Number.isNaN(new Date(time).getTime())) return null;
  const [day = '', clock = ''] = new Date(time).toISOString().split('T');
  return new Date(nowMs).toISOString().startsWith(day) ? clock : `${day} ${clock}`;
}

/** The model as the caller named it, and as the provider was asked for it where that differs. */
function modelText({ model, servedModel }: Line): string {
  if (typeof servedModel !== 'string' || servedModel === model) return text(model);
  return `${text(model)} as ${servedModel}`;
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '-';
}

function levelText(level: unknown): string {
  return typeof level === 'number' && level >= 40 ? (level >= 50 ? 'error' : 'warning') : 'info';
}
