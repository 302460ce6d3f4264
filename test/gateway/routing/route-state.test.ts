import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assign } from '../../../src/core/routing/assignment';
import type { PushAccepted } from '../../../src/core/routing/routing';
import type { PushRefusal } from '../../../src/gateway/routing/push-decision';
import { TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';

const opened: TestGateway[] = [];
const root = temporaryDirectory();
let directories = 0;

function gateway(options: { clock?: TestClock; directory?: string; route?: object } = {}) {
  directories += 1;
  const clock = options.clock ?? new TestClock();
  const directory = options.directory ?? join(root, String(directories));
  const made = new TestGateway({
    clock,
    directory,
    ...(options.route === undefined ? {} : { route: options.route }),
  });
  opened.push(made);
  return { gateway: made, state: made.state, clock, directory };
}

afterEach(() => {
  for (const each of opened.splice(0)) each.state.close();
});

function accepted(answer: PushAccepted | PushRefusal): PushAccepted {
  if ('code' in answer)
    throw new Error(`expected the push to be taken, got ${answer.code}: ${answer.message}`);
  return answer;
}

function candidateCount(state: TestGateway['state'], requests: number): number {
  let count = 0;
  for (let index = 0; index < requests; index += 1) {
    if (state.draw(`key-${index}`, '').arm === 'candidate') count += 1;
  }
  return count;
}

describe('a route without a record', () => {
  it('observes under epoch 0 with everything at legacy', () => {
    const { state } = gateway();
    expect(candidateCount(state, 1_000)).toBe(0);
    expect(state.draw('key', '')).toMatchObject({ arm: 'legacy', epoch: 0, randomised: true });
    expect(state.status().assigned).toEqual({ legacy: 1_001, candidate: 0 });
  });

  it('obeys the configuration where the route is settled at the candidate', () => {
    const { state } = gateway({ route: { settled: 'candidate' } });
    expect(candidateCount(state, 100)).toBe(100);
    expect(state.permit(0).send()).toBe(true);
    expect(state.wholeProvider()).toBe('candidate');
  });

  it('is not ready for a minute, and then is', () => {
    const { state, clock } = gateway();
    expect(state.isReady()).toBe(false);
    clock.advance(59_999);
    expect(state.isReady()).toBe(false);
    clock.advance(1);
    expect(state.isReady()).toBe(true);
  });

  it('is ready as soon as it has been pushed to', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0 })));
    expect(state.isReady()).toBe(true);
  });
});

describe('epochs', () => {
  it('takes a newer epoch and refuses an older one', async () => {
    const { state, gateway: it } = gateway();
    expect(accepted(await state.push(it.pushRequest({ epoch: 5 })))).toMatchObject({
      confirmed: true,
      durable: true,
    });
    expect(await state.push(it.pushRequest({ epoch: 4 }))).toMatchObject({ code: 'older epoch' });
    expect(state.status().record?.epoch).toBe(5);
  });

  it('takes the same record again and refuses other content under its epoch', async () => {
    const { state, gateway: it } = gateway();
    const first = it.pushRequest({ epoch: 5 });
    accepted(await state.push(first));
    expect(accepted(await state.push(first)).confirmed).toBe(true);
    expect(await state.push(it.pushRequest({ epoch: 5, share: 0.2 }))).toMatchObject({
      code: 'same epoch, other content',
    });
    expect(await state.push(it.pushRequest({ epoch: 5, share: 0 }))).toMatchObject({
      code: 'same epoch, other content',
    });
  });

  it('lets exactly one of many concurrent writers win each epoch', async () => {
    const { state, gateway: it } = gateway();
    for (let round = 1; round <= 5; round += 1) {
      const requests = Array.from({ length: 8 }, (_, index) =>
        it.pushRequest({
          share: (index + 1) / 10,
          migrationId: `m-${index}`,
          epoch: round * 10 + (index % 3),
        }),
      );
      const answers = await Promise.all(requests.map((request) => state.push(request)));
      const won = answers.filter((answer) => !('code' in answer));
      expect(won).toHaveLength(1);
      const epochs = answers.flatMap((answer) => ('code' in answer ? [] : [answer.status.record?.epoch]));
      expect(epochs).toEqual([state.status().record?.epoch]);
    }
  });

  it('never goes back, whatever order writers arrive in', async () => {
    const { state, gateway: it } = gateway();
    const seen: number[] = [];
    const writers = [7, 3, 9, 3, 8, 12, 10, 11].map(async (epoch, index) => {
      await new Promise((resolve) => setImmediate(resolve));
      await state.push(it.pushRequest({ epoch, share: index % 2 === 0 ? 0.3 : 0 }));
      seen.push(state.status().highestEpoch);
    });
    await Promise.all(writers);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('refuses a writer that expected another epoch to be held', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ epoch: 5 })));
    const stale = it.pushRequest({ epoch: 7 }, { expected: { incarnation: it.incarnation, epoch: 4 } });
    expect(await state.push(stale)).toMatchObject({ code: 'epoch changed' });
  });

  it('refuses a writer that read another incarnation', async () => {
    const { directory, gateway: before, state } = gateway();
    accepted(await state.push(before.pushRequest()));
    const late = before.pushRequest({ share: 0 });
    const { state: restarted } = gateway({ directory });
    expect(await restarted.push(late)).toMatchObject({ code: 'incarnation changed' });
  });
});

describe('leases', () => {
  it('falls back to legacy when a stopped process continues after its lease', async () => {
    const { state, gateway: it, clock } = gateway();
    accepted(await state.push(it.pushRequest({ share: 1, leaseMs: 45_000 })));
    const permit = state.permit(1);
    clock.advance(44_999);
    expect(state.draw('key', '').arm).toBe('candidate');
    clock.advance(1);
    expect(state.draw('key', '').arm).toBe('legacy');
    expect(permit.send()).toBe(false);
    expect(state.status()).toMatchObject({ effectiveShare: 0, leaseRemainingMs: 0 });
  });

  it('runs from the reading, not from the arrival of a push', async () => {
    const { state, gateway: it, clock } = gateway();
    const request = it.pushRequest({ share: 0.5 });
    clock.advance(30_000);
    accepted(await state.push(request));
    expect(state.status().leaseRemainingMs).toBe(15_000);
  });

  it('refuses a raise or renewal whose reading is older than the lease', async () => {
    const { state, gateway: it, clock } = gateway();
    const delayed = it.pushRequest({ share: 0.5 });
    clock.advance(45_000);
    expect(await state.push(delayed)).toMatchObject({ code: 'reading too old' });
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    const renewal = { incarnation: it.incarnation, asOfMs: clock.now(), epoch: 1 };
    clock.advance(45_000);
    expect(state.renew(renewal)).toMatchObject({ code: 'reading too old' });
    expect(state.status().effectiveShare).toBe(0);
  });

  it('takes a lowering to 0 however old its reading is', async () => {
    const { state, gateway: it, clock } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    const rollback = it.pushRequest({ share: 0 });
    clock.advance(1_000_000);
    expect(accepted(await state.push(rollback)).confirmed).toBe(true);
  });

  it('never shortens a lease by a renewal that arrives late', async () => {
    const { state, gateway: it, clock } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    const early = { incarnation: it.incarnation, asOfMs: clock.now(), epoch: 1 };
    clock.advance(20_000);
    state.renew({ ...early, asOfMs: clock.now() });
    expect(state.renew(early)).toMatchObject({ leaseRemainingMs: 45_000 });
  });

  it('renews only the epoch it holds', async () => {
    const { state, gateway: it, clock } = gateway();
    accepted(await state.push(it.pushRequest({ epoch: 3 })));
    const renewal = { incarnation: it.incarnation, asOfMs: clock.now(), epoch: 2 };
    expect(state.renew(renewal)).toMatchObject({ code: 'epoch changed' });
    expect(state.renew({ ...renewal, epoch: 3, asOfMs: clock.now() + 1 })).toMatchObject({
      code: 'bad request',
    });
  });

  it('serves again once a lapsed lease is renewed', async () => {
    const { state, gateway: it, clock } = gateway();
    accepted(await state.push(it.pushRequest({ share: 1 })));
    clock.advance(60_000);
    state.renew({ incarnation: it.incarnation, asOfMs: clock.now(), epoch: 1 });
    expect(state.draw('key', '').arm).toBe('candidate');
  });
});

describe('a restart', () => {
  it('begins at legacy with an unpinned record until it is renewed', async () => {
    const { directory, gateway: it, state } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5, epoch: 4 })));
    const { state: restarted, gateway: again, clock } = gateway({ directory });
    expect(restarted.status()).toMatchObject({ highestEpoch: 4, effectiveShare: 0, ready: true });
    restarted.renew({ incarnation: again.incarnation, asOfMs: clock.now(), epoch: 4 });
    expect(restarted.effectiveShare()).toBe(0.5);
  });

  it('begins at its share with a pinned record', async () => {
    const { directory, gateway: it, state } = gateway();
    accepted(await state.push(it.pushRequest({ share: 1, pinned: true })));
    const { state: restarted } = gateway({ directory });
    expect(restarted.status()).toMatchObject({ effectiveShare: 1, leaseRemainingMs: null });
    expect(restarted.wholeProvider()).toBe('candidate');
  });

  it('keeps a kill latch and serves legacy until somebody clears it', async () => {
    const { directory, gateway: it, state } = gateway();
    accepted(await state.push(it.pushRequest({ share: 1, pinned: true })));
    await state.kill({ by: 'ada', reason: 'wrong answers', at: 'now' });
    const { state: restarted } = gateway({ directory });
    expect(restarted.status()).toMatchObject({ effectiveShare: 0, kill: { by: 'ada' } });
    await restarted.clearKill();
    const { state: afterwards } = gateway({ directory });
    expect(afterwards.status()).toMatchObject({ effectiveShare: 0, kill: null, withdrawn: true });
  });
});

describe('the kill switch', () => {
  it('drops the share at once and refuses every raise and renewal while it is set', async () => {
    const { state, gateway: it, clock } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    const waiting = state.permit(1);
    const killed = state.kill({ by: 'ada', reason: '', at: 'now' });
    expect(state.effectiveShare()).toBe(0);
    expect(waiting.send()).toBe(false);
    await killed;
    expect(await state.push(it.pushRequest({ share: 0.1 }))).toMatchObject({ code: 'kill latch' });
    expect(state.renew({ incarnation: it.incarnation, asOfMs: clock.now(), epoch: 1 })).toMatchObject({
      code: 'kill latch',
    });
  });

  it('takes a rollback while it is set', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    await state.kill({ by: 'ada', reason: '', at: 'now' });
    expect(accepted(await state.push(it.pushRequest({ share: 0 }))).confirmed).toBe(true);
  });

  it('never lets the withdrawn record serve again after it was cleared, only a newer epoch', async () => {
    const { state, gateway: it, clock } = gateway();
    const request = it.pushRequest({ share: 0.5 });
    accepted(await state.push(request));
    await state.kill({ by: 'ada', reason: '', at: 'now' });
    await state.clearKill();
    expect(state.effectiveShare()).toBe(0);
    expect(await state.push(request)).toMatchObject({ code: 'kill latch' });
    expect(state.renew({ incarnation: it.incarnation, asOfMs: clock.now(), epoch: 1 })).toMatchObject({
      code: 'kill latch',
    });
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    expect(state.effectiveShare()).toBe(0.5);
  });

  it('wins against a raise that waits for the disk', async () => {
    const { state, gateway: it } = gateway();
    const raise = state.push(it.pushRequest({ share: 1, pinned: true }));
    const killed = state.kill({ by: 'ada', reason: '', at: 'now' });
    expect(await raise).toMatchObject({ code: 'kill latch' });
    expect((await killed).effectiveShare).toBe(0);
  });

  it('keeps the first latch when it is set twice', async () => {
    const { state } = gateway();
    await state.kill({ by: 'ada', reason: 'first', at: 'then' });
    expect(await state.kill({ by: 'bob', reason: 'second', at: 'now' })).toMatchObject({
      kill: { by: 'ada', reason: 'first' },
    });
  });
});

describe('permits', () => {
  it('let a lowering confirm only when no attempt of an older epoch is unsent', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    const sent = state.permit(1);
    const unsent = state.permit(1);
    expect(sent.send()).toBe(true);
    const lowered = accepted(await state.push(it.pushRequest({ share: 0 })));
    expect(lowered).toMatchObject({ confirmed: false, status: { unsentOlder: 1, inFlightOlder: 1 } });
    expect(unsent.send()).toBe(false);
    const again = it.pushRequest({ epoch: 2, share: 0 });
    expect(accepted(await state.push(again))).toMatchObject({
      confirmed: true,
      status: { inFlightOlder: 1 },
    });
    sent.close();
    expect(state.status().inFlightOlder).toBe(0);
  });

  it('tell an unsent attempt at once that it was withdrawn, so that the lowering can be confirmed', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    const unsent = state.permit(1);
    const causes: string[] = [];
    unsent.onCut((cause) => {
      causes.push(cause);
      unsent.close();
    });
    expect(accepted(await state.push(it.pushRequest({ share: 0 }))).confirmed).toBe(true);
    expect(causes).toEqual(['withdrawn']);
  });

  it('stay good over a raise of the same salt, and confirm it at once', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.1 })));
    const unsent = state.permit(1);
    expect(accepted(await state.push(it.pushRequest({ share: 0.5 }))).confirmed).toBe(true);
    expect(unsent.send()).toBe(true);
  });

  it('end with the salt they were drawn under', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.1 })));
    const unsent = state.permit(1);
    accepted(await state.push(it.pushRequest({ share: 0.5, salt: 'another' })));
    expect(unsent.send()).toBe(false);
  });

  it('are cut at once by an emergency, and by the end of the drain otherwise', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    const causes: string[] = [];
    const draining = state.permit(1);
    draining.onCut((cause) => causes.push(cause));
    draining.send();
    accepted(await state.push(it.pushRequest({ share: 0.1 })));
    expect(causes).toEqual([]);
    const next = state.permit(2);
    next.onCut((cause) => causes.push(`second ${cause}`));
    next.send();
    accepted(await state.push(it.pushRequest({ share: 0 }, { inFlight: 'cut' })));
    expect(causes).toEqual(['emergency', 'second emergency']);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(causes).toEqual(['emergency', 'second emergency', 'drained', 'second drained']);
  });

  it('of mirrors follow the shadow fraction, not the share', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0, shadow: 0.2 })));
    expect(state.permit(1).send()).toBe(false);
    expect(state.permit(1, 'mirror').send()).toBe(true);
    const unsent = state.permit(1, 'mirror');
    accepted(await state.push(it.pushRequest({ share: 0, shadow: 0 })));
    expect(unsent.send()).toBe(false);
  });
});

describe('a disk that refuses', () => {
  /** A file where the directory should be: refuses even root, like a read-only or full disk. */
  function blocked() {
    directories += 1;
    const path = join(root, `blocked-${directories}`);
    writeFileSync(path, '');
    return join(path, 'state');
  }

  it('never refuses a lowering, which acts in memory and says that it is not durable', async () => {
    const { state, gateway: it, directory } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.5 })));
    rmSync(directory, { recursive: true });
    writeFileSync(directory, 'no directory any more');
    const lowered = accepted(await state.push(it.pushRequest({ share: 0 })));
    expect(lowered).toMatchObject({ confirmed: true, durable: false, status: { effectiveShare: 0 } });
    expect(it.warnings).toEqual([expect.stringContaining('cannot be kept')]);
  });

  it('tries on until the disk takes the lowering', async () => {
    const directory = blocked();
    const { state, gateway: it } = gateway({ directory });
    expect(accepted(await state.push(it.pushRequest({ share: 0 }))).durable).toBe(false);
    rmSync(join(directory, '..'));
    while (state.status().durable === false) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(existsSync(join(directory, 'main.record'))).toBe(true);
  });

  it('refuses a raise, which would not be there after a restart', async () => {
    const { state, gateway: it } = gateway({ directory: blocked() });
    expect(await state.push(it.pushRequest({ share: 0.5 }))).toMatchObject({ code: 'not durable' });
    expect(state.status()).toMatchObject({ record: null, highestEpoch: 0, effectiveShare: 0 });
  });

  it('lets the kill switch act', async () => {
    const { state } = gateway({ directory: blocked(), route: { settled: 'candidate' } });
    expect(await state.kill({ by: 'ada', reason: '', at: 'now' })).toMatchObject({
      effectiveShare: 0,
      durable: false,
    });
  });
});

describe('a damaged record', () => {
  it('is refused loudly, counts as none, and is set aside by the next record', async () => {
    const { directory, state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 1, pinned: true, epoch: 9 })));
    const file = join(directory, 'main.record');
    const sound = readFileSync(file, 'utf8');
    writeFileSync(file, sound.replace('"epoch":9', '"epoch":8'));
    const { state: restarted, gateway: again } = gateway({ directory });
    expect(again.warnings).toEqual([expect.stringContaining('is refused')]);
    expect(restarted.status()).toMatchObject({ record: null, effectiveShare: 0, ready: false });
    accepted(await restarted.push(again.pushRequest({ epoch: 10 })));
    expect(existsSync(`${file}.damaged`)).toBe(true);
  });

  it('may be a directory: the process starts all the same', () => {
    const { directory } = gateway();
    mkdirSync(join(directory, 'main.record'), { recursive: true });
    const { state, gateway: again } = gateway({ directory });
    expect(again.warnings).toHaveLength(1);
    expect(state.status().record).toBeNull();
  });
});

describe('assignment', () => {
  const KEYS = 100_000;

  it('is what anyone computes from the formula, over 100,000 keys', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.1, salt: 's-1' })));
    let different = 0;
    let drawn = 0;
    for (let index = 0; index < KEYS; index += 1) {
      const { arm } = state.draw(`user-${index}`, 'unused');
      if (arm !== assign('s-1', `user-${index}`, 0.1)) different += 1;
      if (arm === 'candidate') drawn += 1;
    }
    expect(different).toBe(0);
    expect(Math.abs(drawn - 0.1 * KEYS)).toBeLessThanOrEqual(4.89 * Math.sqrt(KEYS * 0.1 * 0.9));
    expect(state.status().assigned).toEqual({ legacy: KEYS - drawn, candidate: drawn });
  });

  it('never moves a key back when the share rises', async () => {
    const { state, gateway: it } = gateway();
    const atCandidate = new Set<number>();
    for (const share of [0.01, 0.1, 0.5, 0.9, 1]) {
      accepted(await state.push(it.pushRequest({ share })));
      for (let index = 0; index < 5_000; index += 1) {
        const { arm } = state.draw(`user-${index}`, '');
        if (atCandidate.has(index)) expect(arm).toBe('candidate');
        if (arm === 'candidate') atCandidate.add(index);
      }
    }
    expect(atCandidate.size).toBe(5_000);
  });

  it('gives a bucket to keyed requests only, and starts the counts of each epoch at 0', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest()));
    expect(state.draw(null, 'random').bucket).toBeNull();
    expect(state.draw('key', '').bucket).toEqual(expect.any(Number));
    accepted(await state.push(it.pushRequest({ share: 0.2 })));
    expect(state.status().assigned).toEqual({ legacy: 0, candidate: 0 });
  });
});

describe('new conversations only', () => {
  it('leaves running conversations where they are, and out of both arms', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.001, newConversationsOnly: true })));
    expect(state.draw('ada', '')).toMatchObject({ arm: 'legacy', randomised: true });
    accepted(await state.push(it.pushRequest({ share: 0.999999, newConversationsOnly: true })));
    expect(state.draw('ada', '', true)).toMatchObject({ arm: 'legacy', randomised: false });
    expect(state.draw('never seen', '', true)).toMatchObject({ arm: 'legacy', randomised: false });
    expect(state.draw('ada', '')).toMatchObject({ arm: 'candidate', randomised: true });
    expect(state.draw('ada', '', true)).toMatchObject({ arm: 'candidate', randomised: true });
  });

  it('brings every conversation home when the share falls to 0', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0.999999, newConversationsOnly: true })));
    state.draw('ada', '');
    accepted(await state.push(it.pushRequest({ share: 0, newConversationsOnly: true })));
    expect(state.draw('ada', '', true).arm).toBe('legacy');
  });
});

describe('key statistics', () => {
  it('find the heaviest key, count distinct ones and halve the salted hashes', async () => {
    const { state, gateway: it } = gateway();
    accepted(await state.push(it.pushRequest({ share: 0 })));
    for (let index = 0; index < 900; index += 1) state.draw(`key-${index % 300}`, '');
    for (let index = 0; index < 100; index += 1) state.draw('heavy', '');
    const { keys } = state.status();
    expect(keys).toMatchObject({ distinct: 301, heaviestShare: 0.1, keyedRequests: 1_000, aaTotal: 1_000 });
    accepted(await state.push(it.pushRequest({ share: 0, salt: 'another' })));
    expect(state.status().keys).toMatchObject({ distinct: 301, aaLow: 0, aaTotal: 0 });
  });

  it('stay bounded and still find a heavy key among very many light ones', () => {
    const { state } = gateway();
    for (let index = 0; index < 60_000; index += 1) {
      state.draw(`key-${index}`, '');
      if (index % 10 === 0) state.draw('heavy', '');
    }
    const { keys } = state.status();
    expect(keys.distinct).toBe(10_000);
    expect(keys.heaviestShare).toBeGreaterThan(0.09);
    expect(keys.heaviestShare).toBeLessThan(0.091);
  });

  it('forget what is older than a day', () => {
    const { state, clock } = gateway();
    state.draw('old', '');
    clock.advance(11 * 3_600_000);
    state.draw('new', '');
    expect(state.status().keys.distinct).toBe(2);
    clock.advance(25 * 3_600_000);
    expect(state.status().keys).toMatchObject({ distinct: 0, keyedRequests: 0, heaviestShare: 0 });
  });
});
