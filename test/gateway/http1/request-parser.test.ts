import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import { hasOption } from '../../../src/gateway/http1/field-lines';
import { RequestParser } from '../../../src/gateway/http1/request-parser';
import { brokenMessages } from '../../support/gateways/broken-messages';
import { closeServer, listenOn } from '../../support/gateways/raw-server';

interface Read {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
  /** The connection closes behind it. */
  readonly isLast: boolean;
}

/** All requests that our parser reads from the bytes of one connection, and why it stopped, if it did. */
function readAll(pieces: readonly Buffer[]): { requests: Read[]; refused: string | null } {
  const requests: Read[] = [];
  let current: { -readonly [Field in keyof Read]: Read[Field] } | null = null;
  const parser = new RequestParser({
    requestHead: ({ method, target, httpVersion, fields }) => {
      const isLast = httpVersion === '1.0' || hasOption(fields.connection, 'close');
      current = { method, target, headers: fields.list, body: '', isLast };
      return true;
    },
    requestData: (bytes) => {
      if (current !== null) current.body += bytes.toString('latin1');
    },
    requestEnd: () => {
      if (current !== null) requests.push(current);
      parser.next();
    },
  });
  try {
    for (const piece of pieces) parser.push(Buffer.from(piece));
    return { requests, refused: null };
  } catch (error) {
    return { requests, refused: (error as Error).message };
  }
}

const bytes = (text: string) => Buffer.from(text, 'latin1');
const POST = 'POST /v1/x HTTP/1.1\r\nhost: a\r\n';

describe('well-formed requests', () => {
  it.each([
    ['of known length', `${POST}content-length: 5\r\n\r\nhello`, ['hello']],
    [
      'chunked',
      `${POST}Transfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n2;a=b;c="d e"\r\nlo\r\n0\r\nx-t: u\r\n\r\n`,
      ['hello'],
    ],
    ['without a body', `${POST}\r\n`, ['']],
    ['with a length of 0', `${POST}content-length: 0\r\n\r\n`, ['']],
    ['behind one empty line', `\r\n${POST}content-length: 5\r\n\r\nhello`, ['hello']],
    [
      'sent ahead',
      `${POST}content-length: 3\r\n\r\noneGET /a HTTP/1.1\r\nhost: a\r\n\r\n${POST}content-length: 5\r\n\r\nthree`,
      ['one', '', 'three'],
    ],
    ['of HTTP/1.0', 'POST /v1/x HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello', ['hello']],
    [
      'with odd characters where they may be',
      `OPTIONS * HTTP/1.1\r\nhost: a\r\nx!#$%&'*+-.^_\`|~: \xe9\t"\r\n\r\n`,
      [''],
    ],
  ])('%s are read, however they are cut into pieces', (_name, text, bodies) => {
    const whole = bytes(text);
    expect(readAll([whole]).requests.map(({ body }) => body)).toEqual(bodies);
    const single = Array.from(whole, (_, index) => whole.subarray(index, index + 1));
    // A line end alone cannot be told from the beginning of a head yet.
    const cuts = text.startsWith('\r\n') ? [] : [single];
    for (let cut = 2; cut < whole.length; cut += 1) cuts.push([whole.subarray(0, cut), whole.subarray(cut)]);
    for (const pieces of cuts) {
      const { requests, refused } = readAll(pieces);
      expect(refused).toBeNull();
      expect(requests.map(({ body }) => body)).toEqual(bodies);
    }
  });
});

describe('a request is refused', () => {
  const post = (lines: string) => `${POST}${lines}\r\n\r\nhello`;
  const chunked = (body: string) => `${POST}transfer-encoding: chunked\r\n\r\n${body}`;
  it.each([
    ['with a length and chunked', post('content-length: 5\r\ntransfer-encoding: chunked')],
    ['with chunked and a length', post('transfer-encoding: chunked\r\ncontent-length: 5')],
    ['with two lengths', post('content-length: 5\r\ncontent-length: 6')],
    ['with the same length twice', post('content-length: 5\r\ncontent-length: 5')],
    ['with a list of lengths', post('content-length: 5, 5')],
    ['with a negative length', post('content-length: -5')],
    ['with a signed length', post('content-length: +5')],
    ['with a hexadecimal length', post('content-length: 0x5')],
    ['with an empty length', post('content-length:')],
    ['with a length beyond what can be counted', post('content-length: 18446744073709551621')],
    ['with a tab beside a length', post('content-length:\t5')],
    ['with two codings', post('transfer-encoding: gzip, chunked')],
    ['with chunked twice', post('transfer-encoding: chunked\r\nTransfer-Encoding: chunked')],
    ['with a coding behind chunked', post('transfer-encoding: chunked, identity')],
    ['with a coding that only looks chunked', post('transfer-encoding: chunkedx')],
    ['with a quoted coding', post('transfer-encoding: "chunked"')],
    ['with a tab behind chunked', post('transfer-encoding: chunked\t')],
    ['with chunked behind a vertical tab', post('transfer-encoding:\x0bchunked')],
    ['with a blank before the colon', post('transfer-encoding : chunked')],
    ['with chunked in HTTP/1.0', 'POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['with a folded line', post('x-a: b\r\n c: d')],
    ['with a folded coding', post('transfer-encoding:\r\n chunked')],
    ['with a name that begins with a blank', post(' content-length: 5')],
    ['with a line without a colon', post('content-length')],
    ['with an empty name', post(': 5')],
    ['with NUL in a value', post('x-a: b\0')],
    ['with NUL in a name', post('x\0: b')],
    ['with a bare CR in a value', post('x-a: b\rc')],
    ['with a bare LF in a value', post('x-a: b\ncontent-length: 5')],
    ['with a bare LF behind its first line', `POST / HTTP/1.1\nhost: a\r\n\r\n`],
    ['with bare LFs', 'POST / HTTP/1.1\nhost: a\n\n\r\n\r\n'],
    ['with a bare CR behind its first line', 'POST / HTTP/1.1\rhost: a\r\n\r\n'],
    ['with two blanks in its first line', 'POST  / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['with a tab in its first line', 'POST\t/ HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['with a blank in its target', 'POST /a b HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['with a control character in its target', 'POST /a\x01b HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['with a byte beyond ASCII in its target', 'POST /\xe9 HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['without a target', 'POST HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['without a version', 'GET /\r\nhost: a\r\n\r\n'],
    ['of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['of HTTP/1.2', 'GET / HTTP/1.2\r\nhost: a\r\n\r\n'],
    ['of another protocol', 'GET / RTSP/1.0\r\nhost: a\r\n\r\n'],
    ['with a method that is no token', 'G(T / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['that is TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['with a head that is too long', `${POST}x-a: ${'b'.repeat(33_000)}\r\n\r\n`],
    ['with a head without an end', `${POST}${'x-a: b\r\n'.repeat(5_000)}`],
    ['with a chunk without a size', chunked('\r\nhello\r\n0\r\n\r\n')],
    ['with a negative chunk', chunked('-5\r\nhello\r\n0\r\n\r\n')],
    ['with a chunk size in 0x', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
    ['with a chunk size that overflows', chunked('ffffffffffffffff5\r\nhello\r\n0\r\n\r\n')],
    ['with a blank behind a chunk size', chunked('5 \r\nhello\r\n0\r\n\r\n')],
    ['with a chunk size before a bare LF', chunked('5\nhello\r\n0\r\n\r\n')],
    ['with a chunk that is longer than it says', chunked('4\r\nhello\r\n0\r\n\r\n')],
    ['with a chunk that ends with a bare LF', chunked('5\r\nhello\n0\r\n\r\n')],
    ['with a bare LF in an extension', chunked('5;a\nb\r\nhello\r\n0\r\n\r\n')],
    ['with a bare CR in an extension', chunked('5;a\rb\r\nhello\r\n0\r\n\r\n')],
    ['with endless extensions', chunked(`5;${'a'.repeat(2_000)}\r\nhello\r\n0\r\n\r\n`)],
    ['with framing in its trailers', chunked('5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n')],
    ['with endless trailers', chunked(`5\r\nhello\r\n0\r\n${'x-a: b\r\n'.repeat(2_000)}\r\n`)],
  ])('%s', (_name, text) => {
    expect(readAll([bytes(text)])).toMatchObject({ refused: expect.any(String), requests: [] });
    const single = Array.from(bytes(text), (code) => Buffer.of(code));
    expect(readAll(single)).toMatchObject({ refused: expect.any(String), requests: [] });
  });
});

describe('beside node:http', () => {
  let server: HttpServer;
  let port: number;
  /** What node:http made of the bytes of each connection, by the port of its other end. */
  const seen = new Map<number, Omit<Read, 'isLast'>[]>();

  beforeAll(async () => {
    server = createHttpServer((request, response) => {
      const from = request.socket.remotePort as number;
      let body = '';
      request.on('data', (piece: Buffer) => {
        body += piece.toString('latin1');
      });
      request.on('end', () => {
        const { method = '', url = '', rawHeaders } = request;
        seen.get(from)?.push({ method, target: url, headers: rawHeaders, body });
        response.end();
      });
    });
    server.on('clientError', (_error, socket) => socket.destroy());
    server.on('upgrade', (_request, socket) => socket.destroy());
    server.on('connect', (_request, socket) => socket.destroy());
    server.maxHeadersCount = 0;
    port = await listenOn(server);
  });

  afterAll(() => closeServer(server));

  function readByNode(text: Buffer): Promise<Omit<Read, 'isLast'>[]> {
    return new Promise((resolve) => {
      const requests: Omit<Read, 'isLast'>[] = [];
      const socket = connect(port, '127.0.0.1', () => {
        seen.set(socket.localPort as number, requests);
        socket.end(text);
      });
      socket.resume();
      socket.on('error', () => {});
      socket.on('close', () => resolve(requests));
    });
  }

  const bases = [
    `${POST}content-length: 5\r\n\r\nhello`,
    `${POST}transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`,
    `${POST}transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx-t: u\r\n\r\n`,
    `GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n${POST}content-length: 5\r\n\r\nhello`,
    `${POST}content-length: 4\r\n\r\nGET GET /b HTTP/1.1\r\nhost: a\r\n\r\n`,
  ];
  const cases = brokenMessages(bases, ['GET / HTTP/1.1\r\n', 'host: b\r\n\r\n']);
  const isServed = ({ method, target, headers }: Read) =>
    /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/.test(method) &&
    target.startsWith('/') &&
    headers.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length === 1;

  it('reads no request that node:http does not read alike', async () => {
    let both = 0;
    await fc.assert(
      fc.asyncProperty(cases, async (text) => {
        const { requests } = readAll([bytes(text)]);
        // A request that the gateway refuses by its method, target or hosts, or answers for the last time, closes the
        // connection: what is behind it is served by neither.
        const served: Read[] = [];
        for (const request of requests) {
          if (!isServed(request)) break;
          served.push(request);
          if (request.isLast) break;
        }
        if (served.length === 0) return;
        both += 1;
        const other = await readByNode(bytes(text));
        expect(other.slice(0, served.length)).toEqual(served.map(({ isLast: _, ...read }) => read));
      }),
      { numRuns: 4_000 },
    );
    expect(both).toBeGreaterThan(100);
  });
});
