import { isTimeZone, nextPossible } from '../../../src/core/plan/rollout-hours';
import { aPlan } from '../../support/migrations/migration-world';

const WORKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri'];

function rollout(said: object) {
  const plan = aPlan({ rollout: { timeZone: 'Europe/Berlin', ...said } });
  if (plan.rollout === undefined) throw new Error('expected rollout hours');
  return plan.rollout;
}

function next(said: object, at: string): string | null {
  const { atMs } = nextPossible(rollout(said), Date.parse(at));
  return atMs === null ? null : new Date(atMs).toISOString();
}

const OFFICE = { hours: [{ days: WORKDAYS, from: '09:00', to: '16:00' }] };

it.each([
  ['in the hours', '2026-06-03T10:00:00.000Z', '2026-06-03T10:00:00.000Z'],
  ['at their first minute', '2026-06-03T07:00:00.000Z', '2026-06-03T07:00:00.000Z'],
  ['before they open', '2026-06-03T03:12:34.000Z', '2026-06-03T07:00:00.000Z'],
  ['at the minute they end', '2026-06-03T14:00:00.000Z', '2026-06-04T07:00:00.000Z'],
  ['on a Friday evening', '2026-06-05T18:00:00.000Z', '2026-06-08T07:00:00.000Z'],
  ['over the change to winter time', '2026-10-23T20:00:00.000Z', '2026-10-26T08:00:00.000Z'],
  ['over the change to summer time', '2026-03-27T20:00:00.000Z', '2026-03-30T07:00:00.000Z'],
])('says when a share may be raised: %s', (_when, at, expected) => {
  const { atMs } = nextPossible(rollout(OFFICE), Date.parse(at));
  // The second of the question does not matter to the minute of the answer.
  expect(new Date(Math.floor((atMs ?? 0) / 60_000) * 60_000).toISOString()).toBe(expected);
});

it('opens at the first instant that the clock shows after an hour that it skips', () => {
  const hours = [{ days: ['sun'], from: '02:30', to: '05:00' }];
  expect(next({ hours }, '2026-03-28T12:00:00.000Z')).toBe('2026-03-29T01:00:00.000Z');
});

it('takes hours that pass midnight as those of the day on which they begin', () => {
  const hours = [{ days: ['fri'], from: '22:00', to: '02:00' }];
  expect(next({ hours }, '2026-06-05T23:30:00.000Z')).toBe('2026-06-05T23:30:00.000Z');
  expect(next({ hours }, '2026-06-06T00:30:00.000Z')).toBe('2026-06-12T20:00:00.000Z');
});

it('waits out freezes, whose last day is included, and then for the hours', () => {
  const freezes = [{ from: '2026-12-18', to: '2027-01-03', reason: 'year end' }];
  expect(next({ ...OFFICE, freezes }, '2026-12-18T10:00:00.000Z')).toBe('2027-01-04T08:00:00.000Z');
  expect(nextPossible(rollout({ freezes }), Date.parse('2026-12-20T10:00:00.000Z')).why).toBe(
    'frozen from 2026-12-18T00:00 to 2027-01-03T24:00: year end',
  );
});

it('says never when a freeze lasts for more than a year', () => {
  const freezes = [{ from: '2026-01-01', to: '2028-01-01' }];
  const { atMs, why } = nextPossible(rollout({ freezes }), Date.parse('2026-06-01T00:00:00.000Z'));
  expect(atMs).toBeNull();
  expect(why).toContain('so it stays for a year');
});

it('knows time zones by their names', () => {
  expect(isTimeZone('America/Sao_Paulo')).toBe(true);
  expect(isTimeZone('Mars/Olympus')).toBe(false);
  expect(() => aPlan({ rollout: { timeZone: 'Mars/Olympus' } })).toThrow(
    'expected an IANA time zone such as \\"Europe/Berlin\\", got \\"Mars/Olympus\\"',
  );
});
