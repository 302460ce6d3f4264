import { failureOf } from '../src/cli/options/failure';
import { runAll } from '../src/running-workers';

/** A worker that runs until it is shut down or fails. */
function aWorker() {
  let state: 'RUNNING' | 'STOPPED' | 'FAILED' = 'RUNNING';
  let end: () => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const running = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  return {
    run: () => running,
    getState: () => state,
    shutdown: () => {
      state = 'STOPPED';
      end();
    },
    /** Fails without ever saying so. */
    hang: () => {
      state = 'FAILED';
    },
    fail: (message: string) => {
      state = 'STOPPED';
      fail(new Error(message));
    },
  };
}

it('ends the others when one ended by itself, and says so with an exit code that is not 0', async () => {
  const [routing, watching] = [aWorker(), aWorker()];
  const ended = runAll([routing, watching], () => undefined).catch((error: unknown) => failureOf(error));
  routing.fail('the poll was refused\nand a long structure');
  expect(await ended).toEqual({
    message: 'the worker ended unexpectedly and has to be started again: the poll was refused',
    exitCode: 1,
  });
  expect(watching.getState()).toBe('STOPPED');
});

it('waits for none that has failed and never ends', async () => {
  const [routing, watching] = [aWorker(), aWorker()];
  const ended = runAll([routing, watching], () => undefined, { lookEveryMs: 1, patienceMs: 5 });
  routing.hang();
  await expect(ended).rejects.toThrow('the worker ended unexpectedly and has to be started again');
  expect(watching.getState()).toBe('STOPPED');
});

it('says nothing where all were asked to end', async () => {
  const worker = aWorker();
  const ended = runAll([worker], () => undefined);
  worker.shutdown();
  await expect(ended).resolves.toBeUndefined();
});
