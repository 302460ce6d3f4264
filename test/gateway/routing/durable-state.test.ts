import { DurableState, type StateKeeper } from '../../../src/gateway/routing/durable-state';
import type { StoredState } from '../../../src/gateway/routing/record-file';
import { record } from '../../support/gateways/gateway-fixture';

/** A disk whose every write a test ends by hand, in the order in which they were asked for. */
class SlowDisk implements StateKeeper {
  readonly written: StoredState[] = [];
  refusesProbes = false;
  readonly #waiting: { state: StoredState; resolve: () => void; reject: (error: Error) => void }[] = [];

  load() {
    return { kind: 'absent' as const };
  }

  save(state: StoredState): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ state, resolve, reject }));
  }

  async probe(): Promise<void> {
    if (this.refusesProbes) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  }

  get asked(): number {
    return this.#waiting.length;
  }

  async finish(): Promise<void> {
    const write = this.#waiting.shift();
    if (write === undefined) throw new Error('expected a write to wait');
    this.written.push(write.state);
    write.resolve();
    await settle();
  }

  async refuse(): Promise<void> {
    this.#waiting.shift()?.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

function stateOf(epoch: number): StoredState {
  return { highestEpoch: epoch, record: record({ epoch }), kill: null, withdrawn: false };
}

const opened: DurableState[] = [];

function durableState(patienceMs = 60_000) {
  const disk = new SlowDisk();
  const warnings: string[] = [];
  const state = new DurableState({
    keeper: disk,
    route: 'main',
    warn: (text) => warnings.push(text),
    patienceMs,
  });
  opened.push(state);
  return { disk, warnings, state };
}

afterEach(() => {
  for (const state of opened.splice(0)) state.close();
});

describe('a state that is kept first', () => {
  it('is taken only when the disk has it', async () => {
    const { disk, state } = durableState();
    const taken: number[] = [];
    const kept = state.keepFirst(stateOf(1), () => taken.push(state.current.highestEpoch));
    await settle();
    expect(state.current.highestEpoch).toBe(0);
    await disk.finish();
    expect(await kept).toBe(true);
    expect(taken).toEqual([1]);
  });

  it('is not taken when the disk is full, and what memory holds is written after it', async () => {
    const { disk, state, warnings } = durableState();
    const taken = jest.fn();
    const kept = state.keepFirst(stateOf(1), taken);
    await disk.refuse();
    expect(await kept).toBe(false);
    expect(taken).not.toHaveBeenCalled();
    await disk.finish();
    expect(disk.written.at(-1)?.highestEpoch).toBe(0);
    expect(warnings).toEqual([expect.stringContaining('no space left')]);
  });

  it('is not taken when a kill came while it was written, and the kill is written last', async () => {
    const { disk, state } = durableState();
    const kept = state.keepFirst(stateOf(1), () => undefined);
    state.change({ ...state.current, kill: { by: 'ada', reason: '', at: 'now' } });
    const killed = state.keep();
    await disk.finish();
    await disk.finish();
    expect(await kept).toBe(false);
    expect(await killed).toBe(true);
    while (disk.asked > 0) await disk.finish();
    expect(disk.written.at(-1)).toMatchObject({ highestEpoch: 0, kill: { by: 'ada' } });
  });

  it('is written again when an older state was written after it', async () => {
    const { disk, state } = durableState();
    const kept = state.keepFirst(stateOf(1), () => undefined);
    const older = state.keep();
    await disk.finish();
    await disk.finish();
    expect(await older).toBe(true);
    expect(state.current.highestEpoch).toBe(0);
    await disk.finish();
    expect(await kept).toBe(true);
    expect(disk.written.map(({ highestEpoch }) => highestEpoch)).toEqual([1, 0, 1]);
  });
});

describe('a disk that hangs', () => {
  it('holds an answer up no longer than the patience, and is complained about once', async () => {
    const { state, warnings } = durableState(20);
    state.change(stateOf(1));
    expect(await state.keep()).toBe(false);
    expect(await state.keep()).toBe(false);
    expect(state.durable).toBe(false);
    expect(warnings).toEqual([expect.stringContaining('did not answer within 20 ms')]);
  });

  it('is believed again when it answers', async () => {
    const { disk, state } = durableState(20);
    state.change(stateOf(1));
    await state.keep();
    const again = state.keep();
    await disk.finish();
    await disk.finish();
    expect(await again).toBe(true);
    expect(state.durable).toBe(true);
  });
});

describe('a disk that is asked before there is anything to keep', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('is said to refuse at once, and to keep again within a second of room', async () => {
    const { disk, state, warnings } = durableState();
    disk.refusesProbes = true;
    await state.watchDisk();
    expect(state.durable).toBe(false);
    expect(warnings).toEqual([expect.stringContaining('no space left')]);
    disk.refusesProbes = false;
    await jest.advanceTimersByTimeAsync(1_000);
    expect(state.durable).toBe(true);
    expect(disk.asked).toBe(0);
  });

  it('is found to have filled up within half a minute', async () => {
    const { disk, state } = durableState();
    await state.watchDisk();
    expect(state.durable).toBe(true);
    disk.refusesProbes = true;
    await jest.advanceTimersByTimeAsync(30_000);
    expect(state.durable).toBe(false);
  });

  it('is not believed by a probe while it holds an older state than memory', async () => {
    const { disk, state } = durableState();
    await state.watchDisk();
    state.change(stateOf(1));
    const kept = state.keep();
    await disk.refuse();
    expect(await kept).toBe(false);
    await jest.advanceTimersByTimeAsync(30_000);
    expect(state.durable).toBe(false);
    await disk.finish();
    expect(state.durable).toBe(true);
    expect(disk.written).toEqual([stateOf(1)]);
  });
});
