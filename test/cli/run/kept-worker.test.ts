import { keepWorker } from '../../../src/cli/run/kept-worker';
import type { Stoppable } from '../../../src/cli/run/until-stopped';

/** A worker that runs until it is stopped or told to fail. */
function aWorker(): Stoppable & { fail(reason: string): void; isStopped: boolean } {
  let end: () => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const stopped = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  return {
    stopped,
    isStopped: false,
    fail: (reason) => fail(new Error(reason)),
    async stop() {
      this.isStopped = true;
      end();
    },
  };
}

it('starts a worker again that ended by itself, also where the next start fails, and says so', async () => {
  const [first, second] = [aWorker(), aWorker()];
  const notes: string[] = [];
  const secondRuns = new Promise<void>((resolve) => {
    const starts = [
      async () => first,
      async () => {
        throw new Error('no Temporal yet');
      },
      async () => {
        resolve();
        return second;
      },
    ];
    const start = async () => (await starts.shift()?.()) ?? aWorker();
    void keepWorker(start, { note: (line) => notes.push(line), pauseMs: 1 }).then((kept) => {
      stop = () => kept.stop();
      first.fail('its poll was refused');
    });
  });
  let stop: () => Promise<void> = async () => undefined;
  await secondRuns;
  expect(notes).toEqual(['its poll was refused; starting it again', 'no Temporal yet; starting it again']);
  await stop();
  expect(second.isStopped).toBe(true);
});

it('fails where the first start does', async () => {
  const start = async () => {
    throw new Error('no Temporal');
  };
  await expect(keepWorker(start, { note: () => undefined })).rejects.toThrow('no Temporal');
});
