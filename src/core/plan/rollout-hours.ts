import { DAY_MS, MINUTE_MS } from '../text/duration';
import type { RolloutPlan, Weekday } from './plan';

/** Openings and freezes tried before the answer is never: more than a year of daily hours. */
const TRIES = 800;

/** Whether a name is a time zone that this program knows. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/**
 * When a share may next be raised: `atMs` itself where it may now, null where it may not within a year. Not for
 * workflows: time zone data differs between machines and years, an answer once given must not.
 */
export function nextPossible(
  rollout: RolloutPlan,
  atMs: number,
): { readonly atMs: number | null; readonly why: string } {
  const wall = wallClock(rollout.timeZone);
  let why = '';
  let triedMs = atMs;
  for (let tries = 0; tries < TRIES && triedMs <= atMs + 366 * DAY_MS; tries += 1) {
    const nowMs = wall(triedMs);
    const freeze = rollout.freezes.find(({ from, to }) => parsed(from) <= nowMs && nowMs < parsed(to));
    const openingMs = freeze === undefined ? openFrom(rollout, nowMs) : parsed(freeze.to);
    if (openingMs <= nowMs) return { atMs: triedMs, why };
    why ||= freeze === undefined ? `outside the rollout hours (${rollout.timeZone})` : frozen(freeze);
    triedMs = instantOf(openingMs, triedMs, wall);
  }
  return { atMs: null, why: `${why}, and so it stays for a year` };
}

function frozen({ from, to, reason }: RolloutPlan['freezes'][number]): string {
  return `frozen from ${from} to ${to}${reason === '' ? '' : `: ${reason}`}`;
}

const DAYS: readonly Weekday[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** The wall clock's time at which hours are open, at or after `nowMs`; at most `nowMs` where they are open now. */
function openFrom({ hours }: RolloutPlan, nowMs: number): number {
  if (hours.length === 0) return nowMs;
  const midnightMs = Math.floor(nowMs / DAY_MS) * DAY_MS;
  let earliestMs = Number.POSITIVE_INFINITY;
  // From yesterday, whose hours may pass midnight, to the same day a week on.
  for (let day = -1; day <= 8; day += 1) {
    const dayMs = midnightMs + day * DAY_MS;
    const weekday = DAYS[new Date(dayMs).getUTCDay()] as Weekday;
    for (const { days, from, to } of hours) {
      if (!days.includes(weekday)) continue;
      const fromMs = dayMs + minutesOf(from) * MINUTE_MS;
      const toMs = dayMs + minutesOf(to) * MINUTE_MS + (to < from ? DAY_MS : 0);
      if (nowMs < toMs) earliestMs = Math.min(earliestMs, Math.max(fromMs, nowMs));
    }
  }
  return earliestMs;
}

function minutesOf(time: string): number {
  const [hour = '0', minute = '0'] = time.split(':');
  return Number(hour) * 60 + Number(minute);
}

/** A wall clock's reading as if it were UTC, so that readings can be compared and counted. */
function parsed(local: string): number {
  const [day = '', time = '00:00'] = local.split('T');
  return Date.parse(`${day}T00:00:00Z`) + minutesOf(time) * MINUTE_MS;
}

type WallClock = (atMs: number) => number;

function wallClock(timeZone: string): WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone, calendar: 'iso8601', numberingSystem: 'latn', hourCycle: 'h23' },
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' },
  });
  return (atMs) => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(atMs)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute) + (atMs % MINUTE_MS);
  };
}

/** The first instant after `afterMs` at which the wall clock reads `wantedMs`, or just after where it skips that. */
function instantOf(wantedMs: number, afterMs: number, wall: WallClock): number {
  let atMs = afterMs + (wantedMs - wall(afterMs));
  for (let tries = 0; tries < 3; tries += 1) atMs += wantedMs - wall(atMs);
  // In a gap of the clock no instant fits: the tries end before or after it.
  while (wall(atMs) < wantedMs) atMs += MINUTE_MS;
  return Math.max(atMs, afterMs + MINUTE_MS);
}
