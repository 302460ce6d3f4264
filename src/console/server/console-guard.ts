import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { cookieOf, type VisitorRefusal } from './visitor';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Who may use the console. The Host allowlist keeps names out that somebody else's DNS points here; Origin and
 * Sec-Fetch-Site keep other pages of the same browser out; a session, had for the token, keeps everybody else out.
 */
export class ConsoleGuard {
  readonly #token: Buffer;
  readonly #hosts: ReadonlySet<string>;
  readonly #session = randomBytes(32).toString('base64url');
  readonly #cookie: string;
  readonly #isSecure: boolean;

  /** `port` tells consoles of one machine apart: cookies do not. `isSecure`: it is served over TLS. */
  constructor(token: string, hosts: readonly string[], port: number, isSecure: boolean) {
    this.#token = digest(token);
    this.#hosts = new Set([...LOOPBACK, ...hosts.map((host) => host.toLowerCase())]);
    this.#isSecure = isSecure;
    this.#cookie = `cutover-console-${port}`;
  }

  /**
   * Checks what a browser could be made to send from elsewhere; null when all is well. `isNavigable`: another site, such
   * as the one where people log in, may lead a browser there.
   */
  refuseForeign(request: IncomingMessage, isNavigable = false): VisitorRefusal | null {
    const { headers, method = '' } = request;
    const hosts = request.rawHeaders.filter(
      (name, index) => index % 2 === 0 && name.toLowerCase() === 'host',
    );
    if (hosts.length !== 1 || request.url?.startsWith('/') !== true) {
      return { status: 400, message: 'expected one Host header and a path' };
    }
    const host = (headers.host ?? '').toLowerCase();
    if (!this.#hosts.has(host.replace(/:\d{1,5}$/, ''))) {
      return { status: 403, message: 'expected a Host that this console serves; --allow-host adds one' };
    }
    const { origin } = headers;
    const reads = method === 'GET' || method === 'HEAD';
    if (origin === undefined ? !reads : origin !== `http://${host}` && origin !== `https://${host}`) {
      return { status: 403, message: 'expected the Origin of this page: other pages are not served' };
    }
    const site = headers['sec-fetch-site'];
    const navigates = isNavigable && reads && headers['sec-fetch-mode'] === 'navigate';
    if (site !== undefined && site !== 'same-origin' && !(site === 'none' && reads) && !navigates) {
      return { status: 403, message: 'expected a request of this page: other sites are not served' };
    }
    return null;
  }

  /** Whether the request bears the session; null when it does. */
  refuseStranger(request: IncomingMessage): VisitorRefusal | null {
    const given = cookieOf(request, this.#cookie);
    if (timingSafeEqual(digest(given), digest(this.#session))) return null;
    return { status: 401, message: 'expected a session: open the address that cutover ui printed' };
  }

  /** The cookie for whoever knows the token; null for whoever does not. */
  cookieFor(token: unknown): string | null {
    if (typeof token !== 'string' || !timingSafeEqual(digest(token), this.#token)) return null;
    return `${this.#cookie}=${this.#session}; Path=/; HttpOnly; SameSite=Strict${this.#isSecure ? '; Secure' : ''}`;
  }
}

/** Digests are compared, so that neither length nor content shows in the time it takes. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
