import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SharedListener } from '../../../src/gateway/processes/shared-listener';

interface Process {
  readonly name: string;
  readonly has: Socket[];
  gone: boolean;
}

describe('the listener of several processes', () => {
  let listener: SharedListener<Process>;
  let url: URL;
  let callers: Socket[];
  let processes: Process[];

  beforeEach(async () => {
    callers = [];
    processes = [];
    listener = new SharedListener<Process>({
      scheme: 'http',
      maxWaiting: 3,
      hand(socket, process) {
        if (process.gone) return false;
        process.has.push(socket);
        return true;
      },
    });
    url = new URL(await listener.listen({ host: '127.0.0.1', port: 0 }));
  });

  afterEach(async () => {
    await listener.close();
    for (const socket of [...callers, ...processes.flatMap(({ has }) => has)]) socket.destroy();
  });

  function start(name: string): Process {
    const process = { name, has: [], gone: false };
    processes.push(process);
    listener.free(process);
    return process;
  }

  async function call(): Promise<Socket> {
    const socket = connect(Number(url.port), url.hostname);
    socket.on('error', () => {}).resume();
    callers.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await sleep(1);
  }

  it('gives a process no connection before it has taken its last, and keeps nobody waiting for it', async () => {
    const hangs = start('hangs');
    const works = start('works');
    for (let given = 0; given < 4; given += 1) {
      await call();
      await until(() => hangs.has.length + works.has.length === given + 1);
      listener.free(works);
    }
    expect([hangs.has.length, works.has.length]).toEqual([1, 3]);
  });

  it('shares connections evenly among processes that take them', async () => {
    const both = [start('one'), start('two')];
    for (let given = 0; given < 6; given += 1) {
      await call();
      await until(() => both.reduce((sum, { has }) => sum + has.length, 0) === given + 1);
      for (const process of both) listener.free(process);
    }
    expect(both.map(({ has }) => has.length)).toEqual([3, 3]);
  });

  it('keeps what comes before a process serves, and gives what one has left behind to the next', async () => {
    await call();
    const gone = start('gone');
    await until(() => gone.has.length === 1);
    gone.gone = true;
    listener.free(gone);
    await call();
    await sleep(5);
    const next = start('next');
    await until(() => next.has.length === 1);
  });

  it('closes at once what is more than may wait', async () => {
    await Promise.all([call(), call(), call()]);
    const more = await call();
    await once(more, 'close');
    const process = start('late');
    for (let taken = 0; taken < 3; taken += 1) listener.free(process);
    expect(process.has).toHaveLength(3);
  });

  it('gives away all that waits when it closes, also to those that have not taken their last', async () => {
    const both = [start('one'), start('two')];
    await Promise.all([call(), call(), call(), call(), call()]);
    await until(() => both.every(({ has }) => has.length === 1));
    await sleep(5);
    await listener.close();
    expect(both.map(({ has }) => has.length).sort()).toEqual([2, 3]);
    const late = connect(Number(url.port), url.hostname);
    const [error] = await once(late, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('closes what waits when no process is left', async () => {
    const caller = await call();
    await sleep(5);
    await listener.close();
    await once(caller, 'close');
  });
});
