import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PushAccepted } from '../../../src/core/routing/routing';
import { LifeSign } from '../../../src/gateway/routing/life-sign';
import type { Restart } from '../../../src/gateway/routing/restart-trust';
import { record, TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';

const root = temporaryDirectory();
const MINUTE_MS = 60_000;
const opened: TestGateway[] = [];
let directories = 0;

afterEach(() => {
  for (const each of opened.splice(0)) each.state.close();
  jest.useRealTimers();
});

function directory(): string {
  directories += 1;
  return join(root, String(directories));
}

function start(where: string, restart: Restart, route: object = {}): TestGateway {
  const gateway = new TestGateway({ directory: where, clock: new TestClock(), restart, route });
  opened.push(gateway);
  return gateway;
}

/** A directory that holds a pinned record of epoch 1 at share 1. */
async function pinned(): Promise<string> {
  const where = directory();
  const gateway = start(where, 'stopped');
  await gateway.state.push(gateway.pushRequest({ share: 1, pinned: true }));
  return where;
}

describe('a gateway that restarts with a pinned record', () => {
  it('serves it at once where the process before stopped in order: complete needs nobody to stay where it is', async () => {
    const { state } = start(await pinned(), 'stopped');
    expect(state.status()).toMatchObject({ effectiveShare: 1, ready: true, restart: 'in order' });
    expect(state.status()).not.toHaveProperty('unconfirmed');
  });

  it.each<Restart>(['recent', 'old'])(
    'obeys settled after a crash (%s), not ready, until it is pushed',
    async (restart) => {
      const gateway = start(await pinned(), restart);
      const { state } = gateway;
      expect(state.status()).toMatchObject({
        effectiveShare: 0,
        unconfirmed: true,
        ready: false,
        restart: 'crashed',
      });
      expect(state.draw('key', '').arm).toBe('legacy');
      const confirmed = (await state.push(
        gateway.pushRequest({ epoch: 1, share: 1, pinned: true }),
      )) as PushAccepted;
      expect(confirmed).toMatchObject({ confirmed: true, status: { effectiveShare: 1, ready: true } });
      expect(confirmed.status).not.toHaveProperty('unconfirmed');
      expect(confirmed.status).not.toHaveProperty('restart');
    },
  );

  it('stays at the candidate where its configuration says that the route is settled there', async () => {
    expect(start(await pinned(), 'old', { settled: 'candidate' }).state.effectiveShare()).toBe(1);
  });

  it('takes share 0 while it is in doubt, for good', async () => {
    const gateway = start(await pinned(), 'recent');
    await gateway.state.push(gateway.pushRequest({ share: 0 }));
    expect(gateway.state.status()).toMatchObject({ effectiveShare: 0, record: { epoch: 2 }, ready: true });
  });

  it('serves it after a minute in which no worker has asked: Temporal or the workers are away', async () => {
    const where = await pinned();
    jest.useFakeTimers();
    const { state, warnings } = start(where, 'recent');
    jest.advanceTimersByTime(59_000);
    expect(state.effectiveShare()).toBe(0);
    jest.advanceTimersByTime(1_000);
    expect(state.effectiveShare()).toBe(1);
    expect(warnings).toEqual([expect.stringContaining('serves epoch 1 from its saved record')]);
  });

  it('does not while a worker asks and does not confirm it, such as after a kill that only memory held', async () => {
    const where = await pinned();
    jest.useFakeTimers();
    const { state } = start(where, 'recent');
    for (let minute = 0; minute < 10; minute += 1) {
      jest.advanceTimersByTime(30_000);
      state.heardController();
    }
    expect(state.effectiveShare()).toBe(0);
  });

  it('never by time where the directory is old: a restored copy may be older than what all gateways have confirmed', async () => {
    const where = await pinned();
    jest.useFakeTimers();
    const { state } = start(where, 'old');
    jest.advanceTimersByTime(60 * MINUTE_MS);
    expect(state.effectiveShare()).toBe(0);
  });

  it('hears that a worker asks over the admin listener, and nobody else', async () => {
    const gateway = start(await pinned(), 'recent');
    const heard = jest.spyOn(gateway.state, 'heardController');
    const url = await gateway.listen();
    const ask = (query: string) =>
      fetch(`${url}/admin/v1/routes/main${query}`, { headers: { authorization: 'Bearer test-token' } });
    expect(await (await ask('')).json()).toMatchObject({ unconfirmed: true });
    expect(heard).not.toHaveBeenCalled();
    await ask('?controller=1');
    expect(heard).toHaveBeenCalledTimes(1);
    await gateway.close();
  });
});

it('is in no doubt of an unpinned record: that one needs a lease anyway', async () => {
  const where = directory();
  const before = start(where, 'stopped');
  await before.state.push(before.pushRequest({ share: 0.5 }));
  const { state } = start(where, 'recent');
  expect(state.status()).toMatchObject({ effectiveShare: 0, leaseRemainingMs: 0, restart: 'crashed' });
  expect(state.status()).not.toHaveProperty('unconfirmed');
});

describe('the sign of life in a state directory', () => {
  const noWarning = (message: string) => {
    throw new Error(`expected no warning, got ${message}`);
  };
  const restartAfter = (ms: number, stop: 'in order' | 'with something unwritten' | 'crash'): Restart => {
    const where = directory();
    const first = new LifeSign(where, () => 1e12, noWarning);
    if (stop !== 'crash') first.stop(stop === 'in order');
    const second = new LifeSign(where, () => 1e12 + ms, noWarning);
    for (const sign of [first, second]) sign.stop(false);
    return second.restart;
  };

  it.each<[number, 'in order' | 'with something unwritten' | 'crash', Restart]>([
    [5_000, 'in order', 'stopped'],
    [5_000, 'with something unwritten', 'recent'],
    [5_000, 'crash', 'recent'],
    [11 * MINUTE_MS, 'in order', 'old'],
    [11 * MINUTE_MS, 'crash', 'old'],
    [-5 * MINUTE_MS, 'in order', 'old'],
  ])('%d ms after a stop %s it says %s', (ms, stop, restart) => {
    expect(restartAfter(ms, stop)).toBe(restart);
  });

  it('is renewed while the gateway lives', () => {
    jest.useFakeTimers();
    const where = directory();
    const living = new LifeSign(where, Date.now, noWarning);
    jest.advanceTimersByTime(30 * MINUTE_MS);
    const next = new LifeSign(where, Date.now, noWarning);
    expect(next.restart).toBe('recent');
    for (const sign of [living, next]) sign.stop(false);
  });

  it('is used up by the start: a copy of a directory that stopped in order is not in order twice', () => {
    const where = directory();
    new LifeSign(where, Date.now, noWarning).stop(true);
    const second = new LifeSign(where, Date.now, noWarning);
    const third = new LifeSign(where, Date.now, noWarning);
    expect([second.restart, third.restart]).toEqual(['stopped', 'recent']);
    for (const sign of [second, third]) sign.stop(false);
  });

  it.each(['in order', 'crash'])(
    'is not believed in a copy of the directory, however young (%s)',
    async (stop) => {
      const where = directory();
      const first = new LifeSign(where, Date.now, noWarning);
      // A system's times move in steps of some milliseconds.
      await sleep(50);
      first.stop(stop === 'in order');
      await sleep(50);
      const next = new LifeSign(where, Date.now, noWarning);
      next.stop(stop === 'in order');
      const copy = directory();
      cpSync(where, copy, { recursive: true, preserveTimestamps: true });
      const original = new LifeSign(where, Date.now, noWarning);
      const copied = new LifeSign(copy, Date.now, noWarning);
      expect([original.restart, copied.restart]).toEqual([stop === 'in order' ? 'stopped' : 'recent', 'old']);
      for (const sign of [original, copied]) sign.stop(false);
    },
  );

  it('is as good as before where the system does not say when a file was created', () => {
    const where = directory();
    new LifeSign(where, Date.now, noWarning).stop(true);
    const path = join(where, 'gateway.alive');
    const { born: _, ...sign } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify(sign));
    const next = new LifeSign(where, Date.now, noWarning);
    expect(next.restart).toBe('stopped');
    next.stop(false);
  });

  it('is believed of nobody where the directory cannot be written, or the sign cannot be read', () => {
    const broken = directory();
    mkdirSync(broken);
    writeFileSync(join(broken, 'gateway.alive'), '{"atMs":');
    const unread = new LifeSign(broken, Date.now, noWarning);
    expect(unread.restart).toBe('old');
    expect(JSON.parse(readFileSync(join(broken, 'gateway.alive'), 'utf8'))).toMatchObject({ stopped: false });

    const refusing = directory();
    new LifeSign(refusing, Date.now, noWarning).stop(true);
    rmSync(join(refusing, 'gateway.alive'));
    mkdirSync(join(refusing, 'gateway.alive'));
    const warnings: string[] = [];
    const refused = new LifeSign(refusing, Date.now, (message) => warnings.push(message));
    expect(refused.restart).toBe('old');
    expect(warnings).toEqual([expect.stringContaining('cannot be written')]);
    for (const sign of [unread, refused]) sign.stop(false);
  });

  it('of a directory of an older release is missing: its record waits, and is served when nobody asks', () => {
    const sign = new LifeSign(directory(), Date.now, noWarning);
    expect(sign.restart).toBe('recent');
    sign.stop(false);
  });
});

it('keeps the epoch of a record in doubt: nothing older is taken meanwhile', async () => {
  const gateway = start(await pinned(), 'recent');
  const refused = await gateway.state.push(
    gateway.pushRequest({}, { record: record({ epoch: 1, share: 0.5 }) }),
  );
  expect(refused).toMatchObject({ code: 'same epoch, other content' });
});
