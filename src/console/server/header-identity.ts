import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import type { ConsoleConfiguration } from '../../core/configuration/console-schema';
import { type Identity, type Visitor, type VisitorRefusal, visitorNamed } from './visitor';

const NAME_MOST = 200;

/** Names come from a proxy that has logged people in: from its addresses only, since anybody can send a header. */
export class HeaderIdentity implements Identity {
  readonly kind = 'header';
  readonly #trusted = new BlockList();

  constructor(
    private readonly header: string,
    trusted: readonly string[],
    private readonly roles: ConsoleConfiguration['roles'],
  ) {
    for (const each of trusted) {
      const [network = '', bits] = each.split('/');
      const family = isIPv6(network) ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#trusted.addAddress(network, family);
      else this.#trusted.addSubnet(network, Number(bits), family);
    }
  }

  visitorOf(request: IncomingMessage): Visitor | VisitorRefusal {
    const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
    if (!this.#trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) {
      return { status: 403, message: `expected a proxy that is trusted, got a connection from ${address}` };
    }
    const { rawHeaders } = request;
    const given = rawHeaders.filter(
      (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === this.header,
    );
    const [name = ''] = given;
    // A second one could be the caller's own, which the proxy passed on beside its own.
    if (
      given.length !== 1 ||
      !/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(name) ||
      name.length > NAME_MOST
    ) {
      return { status: 401, message: `expected one header ${this.header} with a name from the proxy` };
    }
    return visitorNamed(name, this.roles, null);
  }

  async answer(): Promise<boolean> {
    return false;
  }
}
