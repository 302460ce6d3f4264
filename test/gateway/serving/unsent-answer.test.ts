import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import { plain, well } from '../../support/providers/fault-provider';

const ANSWER = JSON.stringify({ choices: [{ message: { content: 'x'.repeat(20_000_000) } }] });

const trial = gatewayTrial(well, plain(ANSWER));
const { candidate } = trial;
let gateway: TestGateway;

beforeEach(async () => {
  const timeouts = { streamIdle: '1500ms' };
  gateway = await trial.start({
    ...{ legacy: { timeouts }, candidate: { timeouts } },
    settings: { drain: '10s' },
  });
  await gateway.route(1);
});

function ask(): Socket {
  const body = JSON.stringify({ model: MODEL, messages: [] });
  const socket = connect(Number(new URL(gateway.dataUrl).port), '127.0.0.1');
  socket.pause();
  socket.on('error', () => {});
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  return socket;
}

/** Reads at most this many bytes now and then, until the end; the number of bytes in all. */
async function readSlowly(socket: Socket): Promise<number> {
  let bytes = 0;
  let ended = false;
  socket.on('end', () => {
    ended = true;
  });
  socket.on('data', (piece: Buffer) => {
    bytes += piece.length;
    socket.pause();
  });
  while (!ended) {
    // A fifth of the idle limit without a byte at first, then a piece each turn of the loop.
    await sleep(bytes === 0 ? 300 : 0);
    socket.resume();
  }
  return bytes;
}

async function logLine(): Promise<Record<string, unknown>> {
  while (gateway.log.length === 0) await sleep(20);
  return gateway.log.at(-1) as Record<string, unknown>;
}

it('reaches a caller who reads slowly whole, and the call lasts until then', async () => {
  const socket = ask();
  expect(await readSlowly(socket)).toBeGreaterThan(ANSWER.length);
  expect(await logLine()).toMatchObject({ outcome: 'success', status: 200 });
});

it('of a caller who reads nothing is cut, and counts as aborted in the log', async () => {
  const socket = ask();
  expect(await logLine()).toMatchObject({ outcome: 'aborted', status: 200, provider: 'new' });
  socket.destroy();
});

it('is waited for when the gateway stops, and reaches its caller whole', async () => {
  const socket = ask();
  while (candidate.bodies.length === 0) await sleep(5);
  await sleep(50);
  const reading = readSlowly(socket);
  await Promise.all([gateway.stop(), reading]);
  expect(await reading).toBeGreaterThan(ANSWER.length);
});
