import { EPISODE_KINDS, episodeOf, kindOf, LAST_SEED } from '../../chaos/episode-list';

const SEEDS = Array.from({ length: LAST_SEED }, (_, index) => index + 1);

it('gives the same episode for the same seed', () => {
  for (const seed of SEEDS) expect(episodeOf(seed)).toEqual(episodeOf(seed));
});

it('plays every kind equally often, at every stage, and no two episodes alike', () => {
  const first = SEEDS.slice(0, EPISODE_KINDS.length);
  expect(new Set(first.map(kindOf))).toEqual(new Set(EPISODE_KINDS));
  const episodes = SEEDS.map(episodeOf);
  expect(new Set(episodes.map(({ strike }) => strike))).toEqual(
    new Set(['canary', 'rolling', 'complete', 'handover']),
  );
  const told = episodes.map(({ seed: _seed, ...episode }) => JSON.stringify(episode));
  expect(new Set(told).size).toBeGreaterThan(0.9 * SEEDS.length);
});

it('takes steps in their order, and starts again whatever it kills', () => {
  for (const { steps, after, kind } of SEEDS.map(episodeOf)) {
    for (const list of [steps, after]) {
      const times = list.map(({ atMs }) => atMs);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      // What stays down is started when everything is healed; only `cancelled` leaves that to it.
      const killed = list.flatMap((step) =>
        step.do === 'signal' && step.signal === 'SIGKILL' ? [step.process] : [],
      );
      const started = list.flatMap((step) => (step.do === 'start' ? [step.process] : []));
      if (kind !== 'cancelled' && kind !== 'two faults')
        expect(started).toEqual(expect.arrayContaining(killed));
    }
  }
});
