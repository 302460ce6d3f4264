import { createServer, type ServerResponse } from 'node:http';
import { STREAM_EVENTS } from './answers';

/**
 * A provider of streams, run as a process of its own: `node stream-provider.js PORT TICK_MS`. One timer sends
 * the next event of every open stream, so that each event travels alone.
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
  request.resume();
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(STREAM_EVENTS[0]);
    response.write(STREAM_EVENTS[1]);
    const every = request.headers['x-bench-slow'] === undefined ? 1 : SLOW_EVERY;
    const stream = { response, next: 2, every };
    open.add(stream);
    response.on('close', () => open.delete(stream));
  });
});
server.keepAliveTimeout = 600_000;
server.listen(port, '127.0.0.1', 1024, () => process.stdout.write('ready\n'));
