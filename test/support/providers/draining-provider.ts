import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MAPPED_MODEL } from '../gateways/running-gateway';

export type DrainingAnswer = (response: ServerResponse) => void;

/** A complete chat completion. */
export const COMPLETION = JSON.stringify({
  id: 'c1',
  object: 'chat.completion',
  model: MAPPED_MODEL,
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
});

export const complete: DrainingAnswer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(COMPLETION);
};

/** A provider that throws bodies away, for tests in which only the gateway's memory counts. */
export class DrainingProvider {
  answer: DrainingAnswer = complete;
  /** Lengths of the bodies that came, oldest first. */
  readonly bodyLengths: number[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request: IncomingMessage, response: ServerResponse) => {
      let length = 0;
      request.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      request.on('error', () => {});
      response.on('error', () => {});
      request.on('end', () => {
        this.bodyLengths.push(length);
        this.answer(response);
      });
    });
  }

  /** Listens on loopback and resolves with the base URL. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
