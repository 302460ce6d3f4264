// Shows the Temporal UI what aes-gcm.mjs has encrypted:
//   node codec-server.mjs --port 8888 --origin http://127.0.0.1:8233
// In the UI: the glasses at the top, "Use a remote codec", http://127.0.0.1:8888. Whoever reaches this port reads every
// migration: it listens on loopback; elsewhere put it behind your own login.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { payloadCodecs } from './aes-gcm.mjs';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8888' },
    origin: { type: 'string', default: 'http://127.0.0.1:8233' },
  },
});
const [codec] = payloadCodecs;
const MOST_BYTES = 16 * 1024 * 1024;

const server = createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, {
      'access-control-allow-origin': values.origin,
      'access-control-allow-headers': 'content-type, x-namespace, authorization',
      'access-control-allow-methods': 'POST, OPTIONS',
      'content-type': 'application/json',
    });
    response.end(JSON.stringify(body));
  };
  const act = { '/encode': codec.encode, '/decode': codec.decode }[request.url ?? ''];
  if (request.method === 'OPTIONS') return answer(200, {});
  if (request.headers.origin !== undefined && request.headers.origin !== values.origin) {
    return answer(403, { error: `expected the origin ${values.origin}` });
  }
  if (request.method !== 'POST' || act === undefined) {
    return answer(404, { error: 'expected POST /encode or /decode' });
  }
  try {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) {
      text += piece;
      if (text.length > MOST_BYTES) return answer(413, { error: `expected at most ${MOST_BYTES} bytes` });
    }
    const { payloads } = JSON.parse(text);
    answer(200, { payloads: (await act(payloads.map(fromJson))).map(toJson) });
  } catch (error) {
    answer(400, { error: error.message });
  }
});

server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`codec server: http://127.0.0.1:${server.address().port}`);
});

function fromJson({ metadata, data }) {
  const bytes = Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value, 'base64')]);
  return { metadata: Object.fromEntries(bytes), data: Buffer.from(data ?? '', 'base64') };
}

function toJson({ metadata, data }) {
  const texts = Object.entries(metadata ?? {}).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ]);
  return { metadata: Object.fromEntries(texts), data: Buffer.from(data ?? []).toString('base64') };
}
