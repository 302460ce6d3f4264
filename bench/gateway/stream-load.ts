import { Agent, request } from 'node:http';
import { FIRST_CONTENT, STREAM_BODY } from './answers';

/**
 * A load of streams, run as a process of its own: `node stream-load.js URL STREAMS SECONDS HEADERS_JSON`.
 * Keeps so many streams open, and prints one JSON line: streams ended, first-content times, failures.
 */
const [url = '', streams = '1', seconds = '1', headers = '{}'] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: Number(streams) });
const endAtMs = performance.now() + Number(seconds) * 1000;
const firstMs: number[] = [];
let ended = 0;
let failed = 0;
let running = 0;

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
        'content-length': Buffer.byteLength(STREAM_BODY),
        ...JSON.parse(headers),
      },
    },
    (answer) => {
      let last = '';
      answer.on('data', (piece: Buffer) => {
        last = piece.toString('latin1');
        if (!seen && last.includes(FIRST_CONTENT)) {
          seen = true;
          firstMs.push(performance.now() - startMs);
        }
      });
      answer.on('end', () => done(seen && last.includes('[DONE]')));
      answer.on('error', () => done(false));
    },
  );
  sent.on('error', () => done(false));
  sent.end(STREAM_BODY);
}

function report(): void {
  firstMs.sort((a, b) => a - b);
  const at = (p: number) => firstMs[Math.min(firstMs.length - 1, Math.floor(p * firstMs.length))] ?? null;
  process.stdout.write(`${JSON.stringify({ ended, failed, firstP50Ms: at(0.5), firstP99Ms: at(0.99) })}\n`);
  process.exit(0);
}

for (let index = 0; index < Number(streams); index += 1) open();
