import type { AddressInfo, Server } from 'node:net';
import type { ListenAddress } from './listen-address';
import { schemeOf } from './listener-tls';

/** Resolves once a server listens; rejects with the system's error. */
export function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, 1024, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** `http://HOST:PORT`, or `https://`, of a server that listens. */
export function urlOf(server: Server, scheme = schemeOf(server)): string {
  const { address, port, family } = server.address() as AddressInfo;
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
