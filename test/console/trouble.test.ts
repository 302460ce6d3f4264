import { troubleOf } from '../../src/console/source/trouble';

const named = (name: string) => Object.assign(new Error('it does not answer'), { name });

it('counts since when the same one does not answer, and anew for another', () => {
  const first = troubleOf(named('NoWorker'), null, 1_000);
  expect(first).toMatchObject({ what: 'worker', sinceMs: 1_000 });
  const still = troubleOf(named('NoWorker'), first, 2_000);
  expect(still.sinceMs).toBe(1_000);
  expect(troubleOf(named('TemporalUnreachable'), still, 3_000)).toMatchObject({
    what: 'temporal',
    sinceMs: 3_000,
  });
});
