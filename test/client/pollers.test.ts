import { pollersOf } from '../../src/client/temporal-service';

const NOW_MS = Date.UTC(2026, 0, 5, 9);

it('counts only workers whose last poll can still be open, and says how old the newest is', () => {
  const ages = [4_000, 64_000, 66_000, 280_000];
  expect(
    pollersOf(
      ages.map((ageMs) => NOW_MS - ageMs),
      NOW_MS,
    ),
  ).toEqual({
    alive: 2,
    silent: 2,
    lastPollMs: 4_000,
  });
});

it('takes a poll that is dated ahead of this clock for a new one', () => {
  expect(pollersOf([NOW_MS + 90_000], NOW_MS)).toEqual({ alive: 1, silent: 0, lastPollMs: 0 });
});

it('has no age where nobody has polled', () => {
  expect(pollersOf([], NOW_MS)).toEqual({ alive: 0, silent: 0, lastPollMs: null });
});
