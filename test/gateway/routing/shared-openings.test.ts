import { HOUR_MS } from '../../../src/core/text/duration';
import { SharedOpenings } from '../../../src/gateway/routing/shared-openings';

let nowMs = 0;
let openings: SharedOpenings;

beforeEach(() => {
  nowMs = 0;
  openings = new SharedOpenings(() => nowMs);
});

/** One request with its opening; `messages` is its length. */
function ask(key: string, messages = 1): boolean {
  openings.countRequest();
  return openings.isShared(key, messages);
}

let named = 0;

/** Requests that have a key of their own, or an opening that nobody else has. */
function others(count: number): void {
  for (let at = 0; at < count; at += 1) {
    named += 1;
    if (at % 2 === 0) openings.countRequest();
    else ask(`other ${named}`);
  }
}

it('never takes a conversation for shared, however long it is and however little else there is', () => {
  for (let turn = 0; turn < 2_000; turn += 1) expect(ask('long', 1 + 2 * turn)).toBe(false);
});

it('allows for repetitions of the first request', () => {
  for (let again = 0; again < 5; again += 1) expect(ask('again')).toBe(false);
});

it('finds an opening with which more than 1% of the requests begin, and keeps to it', () => {
  let first = 0;
  for (let at = 1; at <= 400; at += 1) {
    others(49);
    if (ask('Hi') && first === 0) first = at;
    if (first > 0) expect(ask('Hi', 3)).toBe(true);
  }
  expect(first).toBe(10);
});

it('finds an opening that all callers share behind examples, which no request is without', () => {
  for (let at = 0; at < 30; at += 1) {
    others(9);
    expect(ask('example', 5)).toBe(at >= 9);
  }
});

it('leaves an opening alone that fewer share', () => {
  for (let at = 0; at < 100; at += 1) {
    others(199);
    expect(ask('rare')).toBe(false);
  }
});

it('finds the most frequent one among more openings than it keeps', () => {
  let found = 0;
  for (let at = 0; at < 20_000; at += 1) {
    ask(`noise ${at}`);
    if (at % 50 === 0 && ask('often')) found += 1;
  }
  expect(found).toBeGreaterThan(350);
});

it('forgets after a day what is no longer shared', () => {
  for (let at = 0; at < 50; at += 1) ask('Hi');
  expect(ask('Hi')).toBe(true);
  nowMs = 12 * HOUR_MS;
  others(1_000);
  expect(ask('Hi')).toBe(true);
  nowMs = 24 * HOUR_MS;
  others(1);
  expect(ask('Hi')).toBe(false);
});
