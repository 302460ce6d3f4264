import { untilStopped } from '../../../src/cli/run/until-stopped';

function parts() {
  const stopped: string[] = [];
  const part = (name: string) => ({
    stopped: new Promise<void>(() => undefined),
    stop: async () => void stopped.push(name),
  });
  return { stopped, list: [part('temporal'), part('worker')] };
}

it('stops all where a terminal is closed, the last one started first, and leaves no listener behind', async () => {
  const { stopped, list } = parts();
  const ended = untilStopped(list, { atHangup: true });
  process.emit('SIGHUP');
  await ended;
  expect(stopped).toEqual(['worker', 'temporal']);
  expect(process.listenerCount('SIGHUP')).toBe(0);
});

it('leaves a hangup to others unless it is asked for: a gateway reads its configuration again', async () => {
  const { list } = parts();
  const ended = untilStopped(list);
  expect(process.listenerCount('SIGHUP')).toBe(0);
  process.emit('SIGINT');
  await ended;
});
