import type { Caller } from '../callers/callers';
import { type GatewayError, upstreamError } from '../request/gateway-error';

/** A tunnel that is open. */
export interface OpenTunnel {
  readonly caller: Caller;
  /** Ends it now, on both sides. */
  cut(outcome: string): void;
}

export interface TunnelCaps {
  /** In one process. */
  readonly max: number;
  /** Of one caller in one process. */
  readonly maxPerCaller: number;
}

/** The open tunnels of a gateway. */
export class Tunnels {
  readonly #caps: TunnelCaps;
  readonly #open = new Set<OpenTunnel>();
  readonly #byCaller = new Map<Caller, number>();

  constructor(caps: TunnelCaps) {
    this.#caps = caps;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Why a caller may not open another one now; null when it may. */
  refuse(caller: Caller): GatewayError | null {
    const { max, maxPerCaller } = this.#caps;
    if (this.#open.size >= max) {
      const message = `This gateway has ${max} WebSockets open, as many as gateway.tunnels.max allows.`;
      return { ...upstreamError(503, 'too_many_tunnels', message), type: 'server_error', retryAfterS: 1 };
    }
    if ((this.#byCaller.get(caller) ?? 0) >= maxPerCaller) {
      const message = `This caller has ${maxPerCaller} WebSockets open, as many as gateway.tunnels.maxPerCaller allows.`;
      return { ...upstreamError(429, 'too_many_tunnels', message), type: 'requests', retryAfterS: 1 };
    }
    return null;
  }

  add(tunnel: OpenTunnel): void {
    this.#open.add(tunnel);
    this.#byCaller.set(tunnel.caller, (this.#byCaller.get(tunnel.caller) ?? 0) + 1);
  }

  /** Safe to call again for one that is gone. */
  remove(tunnel: OpenTunnel): void {
    if (!this.#open.delete(tunnel)) return;
    const left = (this.#byCaller.get(tunnel.caller) ?? 1) - 1;
    if (left === 0) this.#byCaller.delete(tunnel.caller);
    else this.#byCaller.set(tunnel.caller, left);
  }

  cutAll(outcome: string): void {
    for (const tunnel of [...this.#open]) tunnel.cut(outcome);
  }
}
