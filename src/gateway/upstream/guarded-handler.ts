import type { Exchange, ExchangeHandler } from '../http1/exchange';

interface Breakable extends ExchangeHandler {
  /** A defect ended the handling of one of its moments. */
  broke(error: unknown): void;
}

/**
 * Stands between a connection and an attempt: what an attempt throws ends that attempt, and is never taken for a
 * failure of the provider or of the connection, which may serve another one by then.
 */
export class GuardedHandler implements ExchangeHandler {
  constructor(private readonly handler: Breakable) {}

  onConnect(exchange: Exchange): void {
    try {
      this.handler.onConnect(exchange);
    } catch (error) {
      this.handler.broke(error);
      exchange.abort();
    }
  }

  onHeaders(status: number, headers: string[]): void {
    try {
      this.handler.onHeaders(status, headers);
    } catch (error) {
      this.handler.broke(error);
    }
  }

  onData(bytes: Buffer): boolean {
    try {
      return this.handler.onData(bytes);
    } catch (error) {
      this.handler.broke(error);
      return true;
    }
  }

  onComplete(): void {
    try {
      this.handler.onComplete();
    } catch (error) {
      this.handler.broke(error);
    }
  }

  onError(failure: Error): void {
    try {
      this.handler.onError(failure);
    } catch (error) {
      this.handler.broke(error);
    }
  }
}
