import { Agent, request } from 'undici';
import type { EvidenceReading } from '../core/evidence/evidence';
import type { RosterEntry } from '../core/migration/migration-state';
import type { FoundGateway } from '../core/routing/gateway-identity';
import type {
  AdminError,
  GatewayStatus,
  PushAccepted,
  PushRequest,
  RenewRequest,
} from '../core/routing/routing';
import type { GatewayAnswer, GatewayPort } from '../ports';
import type { ClientTls } from './admin-client-tls';

export interface GatewayAdminOptions {
  readonly token: string;
  /** Lists the gateways, see `discoverGateways`. */
  readonly discover: () => Promise<readonly FoundGateway[]>;
  /** Host header for gateways that are addressed by IP: the name they were discovered under. */
  readonly discoveryHost?: string;
  /** What to show and trust where admin listeners speak TLS; read anew from time to time. */
  readonly tls?: () => ClientTls;
  /** Whether it acts for a migration: a restarted gateway then leaves to it whether its record is good. */
  readonly controls?: boolean;
  /** To open a connection, milliseconds; 2,000 by default. */
  readonly connectTimeoutMs?: number;
  /** A whole call, milliseconds; 3,000 by default. */
  readonly totalTimeoutMs?: number;
}

const TLS_READ_EVERY_MS = 1_000;

/** Who sets or clears a kill switch, and why. */
export interface KillWords {
  readonly by: string;
  readonly reason: string;
}

interface AdminCall<Result> {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly isAnswer: (value: Record<string, unknown>) => value is Record<string, unknown> & Result;
}

/** The worker's and the operator's way to the gateways' admin listeners. */
export class GatewayAdmin implements GatewayPort {
  readonly #options: GatewayAdminOptions;
  #agent: Agent;
  #tls: ClientTls;
  #tlsReadMs: number;

  constructor(options: GatewayAdminOptions) {
    this.#options = options;
    this.#tls = options.tls?.() ?? {};
    this.#tlsReadMs = performance.now();
    this.#agent = this.#connect();
  }

  discover(): Promise<readonly FoundGateway[]> {
    return this.#options.discover();
  }

  status(gateway: RosterEntry, route: string): Promise<GatewayAnswer<GatewayStatus>> {
    const path = this.#options.controls === true ? `${route}?controller=1` : route;
    return this.#call(gateway, { method: 'GET', path, isAnswer: isStatus });
  }

  push(gateway: RosterEntry, route: string, body: PushRequest): Promise<GatewayAnswer<PushAccepted>> {
    return this.#call(gateway, { method: 'PUT', path: route, body, isAnswer: isAccepted });
  }

  renew(gateway: RosterEntry, route: string, body: RenewRequest): Promise<GatewayAnswer<GatewayStatus>> {
    return this.#call(gateway, { method: 'POST', path: `${route}/lease`, body, isAnswer: isStatus });
  }

  evidence(
    gateway: RosterEntry,
    route: string,
    epoch: number,
    since: string | null,
  ): Promise<GatewayAnswer<EvidenceReading>> {
    const query = new URLSearchParams({ epoch: String(epoch), ...(since === null ? {} : { since }) });
    return this.#call(gateway, { method: 'GET', path: `${route}/evidence?${query}`, isAnswer: isReading });
  }

  /** All evidence of an epoch, without a cursor: readers that judge are not disturbed by readers that look. */
  peek(gateway: RosterEntry, route: string, epoch: number): Promise<GatewayAnswer<EvidenceReading>> {
    const path = `${route}/evidence?epoch=${epoch}&peek=1`;
    return this.#call(gateway, { method: 'GET', path, isAnswer: isReading });
  }

  kill(gateway: RosterEntry, route: string, body: KillWords): Promise<GatewayAnswer<GatewayStatus>> {
    return this.#call(gateway, { method: 'POST', path: `${route}/kill`, body, isAnswer: isStatus });
  }

  clearKill(gateway: RosterEntry, route: string, body: KillWords): Promise<GatewayAnswer<GatewayStatus>> {
    return this.#call(gateway, { method: 'DELETE', path: `${route}/kill`, body, isAnswer: isStatus });
  }

  /** Closes the connections. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #call<Result>(gateway: RosterEntry, call: AdminCall<Result>): Promise<GatewayAnswer<Result>> {
    const url = new URL(`/admin/v1/routes/${call.path}`, gateway.admin);
    try {
      const answer = await request(url, {
        method: call.method,
        dispatcher: this.#currentAgent(),
        signal: AbortSignal.timeout(this.#options.totalTimeoutMs ?? 3_000),
        headers: this.#headers(url),
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      });
      return classify(answer.statusCode, await answer.body.text(), call);
    } catch (error) {
      return { kind: 'unreachable', reason: `${url.host}: ${reasonOf(error)}` };
    }
  }

  #connect(): Agent {
    return new Agent({
      connect: { timeout: this.#options.connectTimeoutMs ?? 2_000, ...this.#tls },
      // Below the listener's own 30 s, so that a call never meets a connection that is just being closed.
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 10_000,
    });
  }

  /** With the certificate as it is now; calls under way keep the connections that they have. */
  #currentAgent(): Agent {
    const nowMs = performance.now();
    if (this.#options.tls === undefined || nowMs - this.#tlsReadMs < TLS_READ_EVERY_MS) return this.#agent;
    this.#tlsReadMs = nowMs;
    const tls = this.#options.tls();
    const { ca, cert, key } = this.#tls;
    if (tls.ca === ca && tls.cert === cert && tls.key === key) return this.#agent;
    void this.#agent.close();
    this.#tls = tls;
    this.#agent = this.#connect();
    return this.#agent;
  }

  #headers(url: URL): Record<string, string> {
    const { token, discoveryHost } = this.#options;
    return {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(discoveryHost === undefined
        ? {}
        : { host: `${discoveryHost}${url.port === '' ? '' : `:${url.port}`}` }),
    };
  }
}

/** An answer is good, a gateway's refusal, or not a gateway's at all (a proxy's error page, another service). */
function classify<Result>(status: number, text: string, call: AdminCall<Result>): GatewayAnswer<Result> {
  const value = parseObject(text);
  if (value !== null && status === 200 && call.isAnswer(value)) return { kind: 'ok', value };
  if (value !== null && status >= 400 && isAdminError(value)) return { kind: 'refused', refusal: value };
  return {
    kind: 'unreachable',
    reason: `answered status ${status} with something that is not a gateway's answer`,
  };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isStatus(value: Record<string, unknown>): value is Record<string, unknown> & GatewayStatus {
  return typeof value['incarnation'] === 'string' && typeof value['asOfMs'] === 'number';
}

function isAccepted(value: Record<string, unknown>): value is Record<string, unknown> & PushAccepted {
  return typeof value['confirmed'] === 'boolean' && typeof value['status'] === 'object';
}

function isReading(value: Record<string, unknown>): value is Record<string, unknown> & EvidenceReading {
  return typeof value['cursor'] === 'string' && typeof value['evidence'] === 'object';
}

function isAdminError(value: Record<string, unknown>): value is Record<string, unknown> & AdminError {
  const error = value['error'] as { code?: unknown } | null | undefined;
  return typeof error === 'object' && error !== null && typeof error.code === 'string';
}

function reasonOf(error: unknown): string {
  const { name, code, message } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError') return 'no answer in time';
  return code === undefined || code.startsWith('UND_') ? message : code;
}
