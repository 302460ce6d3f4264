import { createServer, type ServerResponse } from 'node:http';
import { paceOf, STREAM_EVENTS } from './answers';

/**
 * A provider of streams, run as a process of its own: `node stream-provider.js PORT TICK_MS`. One timer sends
 * the next event of every open stream, so that each event travels alone; a stream without pauses writes its
 * events one after another, each for itself.
 */
const [port, tickMs] = process.argv.slice(2).map(Number);

interface OpenStream {
  readonly response: ServerResponse;
  next: number;
  /** Sends an event in each so many ticks. */
  readonly every: number;
}

const SLOW_EVERY = 100;

const open = new Set<OpenStream>();

let tick = 0;

setInterval(() => {
  tick += 1;
  for (const stream of open) {
    if (tick % stream.every !== 0) continue;
    stream.response.write(STREAM_EVENTS[stream.next]);
    stream.next += 1;
    if (stream.next < STREAM_EVENTS.length) continue;
    stream.response.end();
    open.delete(stream);
  }
}, tickMs);

const server = createServer((request, response) => {
  let body = '';
  request.on('data', (piece: Buffer) => {
    body += piece.toString('latin1');
  });
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const pace = paceOf(body);
    if (pace === 'none') {
      for (const event of STREAM_EVENTS) response.write(event);
      response.end();
      return;
    }
    response.write(STREAM_EVENTS[0]);
    response.write(STREAM_EVENTS[1]);
    const stream = { response, next: 2, every: pace === 'slow' ? SLOW_EVERY : 1 };
    open.add(stream);
    response.on('close', () => open.delete(stream));
  });
});
server.keepAliveTimeout = 600_000;
server.listen(port, '127.0.0.1', 1024, () => process.stdout.write('ready\n'));
