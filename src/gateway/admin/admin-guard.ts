import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FailedLogins } from '../../core/access/failed-logins';

/** Why a request never reaches the admin listener's routes. */
export interface GuardRefusal {
  readonly status: 400 | 401 | 403 | 429;
  readonly message: string;
  /** When the next attempt is looked at again. */
  readonly retryAfterS?: number;
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Who may talk to the admin listener. The Host allowlist and the refusal of any Origin keep a web page in an
 * operator's browser out (DNS rebinding); the token keeps everybody else out.
 */
export class AdminGuard {
  readonly #tokenDigest: Buffer;
  readonly #readerDigest: Buffer;
  readonly #hosts: ReadonlySet<string>;
  readonly #failedLogins: FailedLogins;

  /** `readerToken` opens the metrics only; without one the admin token does. */
  constructor(token: string, hosts: readonly string[], failedLogins: FailedLogins, readerToken?: string) {
    this.#failedLogins = failedLogins;
    this.#tokenDigest = sha256(`Bearer ${token}`);
    this.#readerDigest = sha256(`Bearer ${readerToken ?? token}`);
    this.#hosts = new Set([...LOOPBACK, ...hosts.map((host) => host.toLowerCase())]);
  }

  /** Checks what a browser could be made to send; null when all is well. */
  refuseForeign(request: IncomingMessage): GuardRefusal | null {
    const hosts = request.rawHeaders.filter(
      (name, index) => index % 2 === 0 && name.toLowerCase() === 'host',
    );
    if (hosts.length > 1 || request.url?.startsWith('/') !== true) {
      return { status: 400, message: 'expected one Host header and a path as the target' };
    }
    if (request.headers.origin !== undefined) {
      return { status: 403, message: 'expected no Origin header: this listener serves no browser' };
    }
    if (!this.#isKnownHost(request)) {
      return {
        status: 403,
        message: 'expected a Host of the configuration; add it to adminHosts if it is yours',
      };
    }
    return null;
  }

  /** Compares digests, so that neither length nor content shows in the time it takes. */
  refuseStranger(request: IncomingMessage): GuardRefusal | null {
    if (timingSafeEqual(sha256(request.headers.authorization ?? ''), this.#tokenDigest)) return null;
    const retryAfterS = this.#failedLogins.add(request.socket.remoteAddress);
    return retryAfterS === null
      ? { status: 401, message: 'expected the admin token as Authorization: Bearer TOKEN' }
      : {
          status: 429,
          message: 'too many wrong tokens from this address: try again in a minute',
          retryAfterS,
        };
  }

  /** Like `refuseStranger`, for what may be read with the token for metrics as well. */
  refuseNonReader(request: IncomingMessage): GuardRefusal | null {
    if (timingSafeEqual(sha256(request.headers.authorization ?? ''), this.#readerDigest)) return null;
    return this.refuseStranger(request);
  }

  /** A listener's own address is no name that somebody's DNS could rebind; health probes of orchestrators use it. */
  #isKnownHost(request: IncomingMessage): boolean {
    const host = (request.headers.host ?? '').toLowerCase().replace(/:\d{1,5}$/, '');
    if (this.#hosts.has(host)) return true;
    const local = (request.socket.localAddress ?? '').replace(/^::ffff:/, '');
    return host !== '' && (host === local || host === `[${local}]`);
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
