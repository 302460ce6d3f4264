import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { RecordFile, type StoredState } from '../../../src/gateway/routing/record-file';
import { record, TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';

const root = temporaryDirectory();
let files = 0;

function newPath(): string {
  files += 1;
  return join(root, `state-${files}`, 'main.record');
}

function state(overrides: Partial<StoredState> = {}): StoredState {
  return {
    highestEpoch: 7,
    record: record({ epoch: 7, share: 1, pinned: true }),
    kill: null,
    withdrawn: false,
    ...overrides,
  };
}

describe('a record file', () => {
  it('gives back what was saved', async () => {
    const path = newPath();
    const saved = state({ kill: { by: 'ada', reason: 'naïve "quotes"\n', at: 'now' } });
    await new RecordFile(path).save(saved);
    expect(new RecordFile(path).load()).toEqual({ kind: 'sound', state: saved });
  });

  it('is refused with an epoch that has no successor', async () => {
    const path = newPath();
    await new RecordFile(path).save(state({ highestEpoch: 2 ** 52 + 1 }));
    expect(new RecordFile(path).load()).toMatchObject({ kind: 'damaged' });
    await new RecordFile(path).save(state({ highestEpoch: 2 ** 52 }));
    expect(new RecordFile(path).load()).toMatchObject({ kind: 'sound' });
  });

  it('is absent at first', () => {
    expect(new RecordFile(newPath()).load()).toEqual({ kind: 'absent' });
  });

  it('keeps the newest state when many are saved at once, and leaves no temporary file', async () => {
    const path = newPath();
    const file = new RecordFile(path);
    const epochs = Array.from({ length: 50 }, (_, index) => index + 1);
    await Promise.all(epochs.map((highestEpoch) => file.save(state({ highestEpoch }))));
    expect(new RecordFile(path).load()).toMatchObject({ state: { highestEpoch: 50 } });
    expect(readdirSync(join(path, '..'))).toEqual(['main.record']);
  });

  it('asks the disk without changing what is kept, and leaves nothing behind', async () => {
    const path = newPath();
    const file = new RecordFile(path);
    await file.save(state());
    await file.probe();
    expect(new RecordFile(path).load()).toEqual({ kind: 'sound', state: state() });
    expect(readdirSync(join(path, '..'))).toEqual(['main.record']);
    const other = newPath();
    writeFileSync(join(other, '..'), 'in the way of the directory');
    await expect(new RecordFile(other).probe()).rejects.toThrow(/EEXIST/);
  });

  it('goes on after a write that failed', async () => {
    const path = newPath();
    writeFileSync(join(path, '..'), 'in the way of the directory');
    const file = new RecordFile(path);
    await expect(file.save(state())).rejects.toThrow();
    rmSync(join(path, '..'));
    await file.save(state({ highestEpoch: 8 }));
    expect(new RecordFile(path).load()).toMatchObject({ state: { highestEpoch: 8 } });
  });

  it('is refused when it is cut after any byte', async () => {
    const path = newPath();
    await new RecordFile(path).save(state());
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      expect(new RecordFile(path).load()).toMatchObject({ kind: 'damaged' });
    }
  });

  it('is refused when any bit of it is flipped', async () => {
    const path = newPath();
    await new RecordFile(path).save(state());
    const whole = readFileSync(path);
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      writeFileSync(path, flipped);
      expect(new RecordFile(path).load().kind).toBe('damaged');
    }
  });

  it('is refused, whatever else stands in it', () => {
    const path = newPath();
    mkdirSync(join(path, '..'), { recursive: true });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        writeFileSync(path, text);
        return new RecordFile(path).load().kind === 'damaged';
      }),
      { numRuns: 200 },
    );
  });

  it('is refused where its checksum is right and its content is not JSON', async () => {
    const path = newPath();
    const directory = join(path, '..');
    mkdirSync(directory, { recursive: true });
    for (const body of ['', '\n', '{"highestEpoch":7', 'null', '[]']) {
      const checksum = createHash('sha256').update(body).digest('hex');
      writeFileSync(path, `cutover-record-1 ${checksum}\n${body}`);
      expect(new RecordFile(path).load()).toMatchObject({ kind: 'damaged' });
      const gateway = new TestGateway({ directory, clock: new TestClock() });
      expect(gateway.warnings).toEqual([expect.stringMatching(/refused.*counts as no record/)]);
      expect(gateway.state.status()).toMatchObject({ record: null, effectiveShare: 0 });
    }
  });

  it('that is damaged never keeps a gateway from starting, which then serves legacy', async () => {
    const path = newPath();
    const directory = join(path, '..');
    await new RecordFile(path).save(state());
    const whole = readFileSync(path);
    for (const length of [0, 1, whole.length >> 1, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      const gateway = new TestGateway({ directory, clock: new TestClock() });
      expect(gateway.warnings).toEqual([expect.stringMatching(/refused.*counts as no record/)]);
      expect(gateway.state.status()).toMatchObject({ record: null, highestEpoch: 0, effectiveShare: 0 });
      expect(gateway.state.draw('key', '').arm).toBe('legacy');
    }
  });
});
