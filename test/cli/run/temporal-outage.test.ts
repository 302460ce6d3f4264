import { watchForOutages } from '../../../src/temporal-outage';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

it('says once that Temporal stopped answering and what that means, and once that it answers again', async () => {
  const said: string[] = [];
  let isThere = true;
  const stop = watchForOutages({
    address: 'temporal:7233',
    ask: async () => {
      if (!isThere) throw new Error('connection refused');
    },
    warn: (message) => said.push(message),
    now: Date.now,
    everyMs: 1_000,
  });
  await jest.advanceTimersByTimeAsync(3_000);
  expect(said).toEqual([]);
  isThere = false;
  await jest.advanceTimersByTimeAsync(5_000);
  expect(said).toEqual([
    expect.stringMatching(
      /^Temporal at temporal:7233 does not answer \(connection refused\): .*gateways below 100% return to legacy/,
    ),
  ]);
  isThere = true;
  await jest.advanceTimersByTimeAsync(5_000);
  expect(said.slice(1)).toEqual(['Temporal at temporal:7233 answers again, after 5 s']);
  isThere = false;
  stop();
  await jest.advanceTimersByTimeAsync(5_000);
  expect(said).toHaveLength(2);
});
