import type { ServerResponse } from 'node:http';
import { type EffectReceiver, type ReceivedRequest, startEffectReceiver } from './effect-receiver';

/** Flags over HTTP (`GET` and `PUT /flags/NAME`) and a webhook (`POST /hook`), which can be told to hang. */
export class FlagService {
  readonly flags: Record<string, unknown> = {};
  /** What the webhook acted on: each idempotency key once. */
  readonly acted: { readonly key: string; readonly moment: string }[] = [];
  /** Requests whose answers are never given: told by method; what they ask is done all the same. */
  readonly hangs = new Set<string>();
  #receiver!: EffectReceiver;

  static async start(): Promise<FlagService> {
    const service = new FlagService();
    service.#receiver = await startEffectReceiver((request, response) => service.#answer(request, response));
    return service;
  }

  get url(): string {
    return this.#receiver.url;
  }

  get received(): readonly ReceivedRequest[] {
    return this.#receiver.received;
  }

  stop(): Promise<void> {
    return this.#receiver.stop();
  }

  #answer({ method, url, headers, body }: ReceivedRequest, response: ServerResponse): void {
    const name = url.split('/').at(-1) ?? '';
    if (method === 'PUT') this.flags[name] = (JSON.parse(body) as { value: unknown }).value;
    if (method === 'POST') {
      const key = String(headers['webhook-id']);
      const { moment } = JSON.parse(body) as { moment: string };
      if (!this.acted.some((one) => one.key === key)) this.acted.push({ key, moment });
    }
    if (this.hangs.has(method)) return;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ value: this.flags[name] ?? null }));
  }
}
