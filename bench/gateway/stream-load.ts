import { Agent, request } from 'node:http';
import { FIRST_CONTENT, type Pace, streamBody } from './answers';

/**
 * A load of streams, run as a process of its own: `node stream-load.js URL STREAMS SECONDS HEADERS_JSON PACE`.
 * Keeps so many streams open, and prints one JSON line: streams ended, first-content times, failures.
 */
const [url = '', streams = '1', seconds = '1', headers = '{}', pace = 'steady'] = process.argv.slice(2);
const body = streamBody(pace as Pace);
const agent = new Agent({ keepAlive: true, maxSockets: Number(streams) });
const endAtMs = performance.now() + Number(seconds) * 1000;
const firstMs: number[] = [];
let ended = 0;
let failed = 0;
let running = 0;

/** Enough to find a text that was cut between two pieces. */
const TAIL = 32;

function open(): void {
  if (performance.now() >= endAtMs) {
    if (running === 0) report();
    return;
  }
  running += 1;
  const startMs = performance.now();
  let seen = false;
  const done = (ok: boolean) => {
    running -= 1;
    if (ok) ended += 1;
    else failed += 1;
    open();
  };
  const sent = request(
    url,
    {
      method: 'POST',
      agent,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...JSON.parse(headers),
      },
    },
    (answer) => {
      let tail = '';
      answer.on('data', (piece: Buffer) => {
        const text = tail + piece.toString('latin1');
        tail = text.slice(-TAIL);
        if (!seen && text.includes(FIRST_CONTENT)) {
          seen = true;
          firstMs.push(performance.now() - startMs);
        }
      });
      answer.on('end', () => done(seen && tail.includes('[DONE]')));
      answer.on('error', () => done(false));
    },
  );
  sent.on('error', () => done(false));
  sent.end(body);
}

function report(): void {
  firstMs.sort((a, b) => a - b);
  const at = (p: number) => firstMs[Math.min(firstMs.length - 1, Math.floor(p * firstMs.length))] ?? null;
  process.stdout.write(`${JSON.stringify({ ended, failed, firstP50Ms: at(0.5), firstP99Ms: at(0.99) })}\n`);
  process.exit(0);
}

for (let index = 0; index < Number(streams); index += 1) open();
