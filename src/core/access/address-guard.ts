import { IPv4, IPv6 } from 'ipaddr.js';

/** Link-local addresses and the well-known places of cloud metadata: never connected to. */
const NEVER_IPV4 = ['169.254.0.0/16', '100.100.100.200/32', '168.63.129.16/32', '192.0.0.192/32'].map(
  (range) => IPv4.parseCIDR(range),
);
const NEVER_IPV6 = [
  'fe80::/10',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  'fd00:42::42/128',
  'fd00:c1::/32',
].map((range) => IPv6.parseCIDR(range));
/** All that is assigned to hosts of the Internet. */
const GLOBAL_UNICAST = IPv6.parseCIDR('2000::/3');
const COMPATIBLE = IPv6.parseCIDR('::/96');
const LOCAL_NAT64 = IPv6.parseCIDR('64:ff9b:1::/48');

const IS_NEVER = 'is link-local or a metadata service, which is never connected to';
const IS_PRIVATE = 'is loopback or private: set allowPrivate: true if that is intended';

/**
 * Why an IP address may not be connected to; null when it may. What carries IPv4 addresses in IPv6 (mapped,
 * compatible, translated, NAT64, 6to4, Teredo, ISATAP) is judged by them as well.
 */
export function addressProblem(text: string, allowPrivate: boolean): string | null {
  const address = parsed(text);
  if (address === null) return 'is not an IP address';
  const carried = address instanceof IPv6 ? carriedIn(address) : [address];
  if (carried.some(isNever) || (address instanceof IPv6 && isNever(address))) return IS_NEVER;
  return allowPrivate || isPublic(address, carried) ? null : IS_PRIVATE;
}

/** What of `dns.lookup` is needed. */
type Lookup = (
  hostname: string,
  options: { readonly all: true },
  callback: (error: Error | null, addresses: readonly { address: string; family: number }[]) => void,
) => void;

/** An address that may not be connected to; the name may have been moved there by whoever owns it. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
  readonly code = 'FORBIDDEN_ADDRESS';
  constructor(address: string, problem: string) {
    super(`${address} ${problem}`);
  }
}

/** The refusal of a host that is an address itself, with or without brackets; null for names and for what may be. */
export function refuseLiteral(host: string, allowPrivate: boolean): ForbiddenAddress | null {
  const literal = host.replace(/^\[|\]$/g, '');
  return parsed(literal) !== null ? refuseAddress(literal, allowPrivate) : null;
}

function refuseAddress(address: string, allowPrivate: boolean): ForbiddenAddress | null {
  const problem = addressProblem(address, allowPrivate);
  return problem === null ? null : new ForbiddenAddress(address, problem);
}

/**
 * A `lookup` for sockets that refuses names with an address that may not be connected to. What it finds is what the
 * socket connects to: there is no second answer that could differ.
 */
export function guardedLookup(lookup: Lookup, allowPrivate: boolean) {
  return (
    hostname: string,
    options: { readonly all?: boolean | undefined },
    callback: (error: Error | null, address: never, family?: number) => void,
  ): void => {
    // Sockets take a list or one address, by what they asked for; Node's types know only one of both.
    const answer = callback as (error: Error | null, address: unknown, family?: number) => void;
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return answer(error, '', 0);
      for (const { address } of addresses) {
        const refusal = refuseAddress(address, allowPrivate);
        if (refusal !== null) return answer(refusal, '', 0);
      }
      if (options.all === true) return answer(null, addresses);
      return answer(null, addresses[0]?.address ?? '', addresses[0]?.family ?? 0);
    });
  };
}

/** Short, octal and hexadecimal forms are names to be looked up, as they are to sockets. */
function parsed(text: string): IPv4 | IPv6 | null {
  if (IPv4.isValidFourPartDecimal(text)) return IPv4.parse(text);
  // The library takes `::1.2.3.4` for a mapped address, which it is not.
  const whole = text.replace(/^::(?=\d+\.)/, '0:0:0:0:0:0:');
  return IPv6.isValid(whole) ? IPv6.parse(whole) : null;
}

function isNever(address: IPv4 | IPv6): boolean {
  return address instanceof IPv4
    ? NEVER_IPV4.some((range) => address.match(range))
    : NEVER_IPV6.some((range) => address.match(range));
}

function isPublic(address: IPv4 | IPv6, carried: readonly IPv4[]): boolean {
  const range = address.range();
  if (address instanceof IPv4) return range === 'unicast';
  // A network without IPv4 of its own reaches all of it through these.
  const stands = range === 'ipv4Mapped' || (range === 'rfc6052' && !address.match(LOCAL_NAT64));
  if (stands) return carried.every((inner) => inner.range() === 'unicast');
  return (
    range === 'unicast' &&
    address.match(GLOBAL_UNICAST) &&
    carried.every((inner) => inner.range() === 'unicast')
  );
}

/** The IPv4 addresses that an IPv6 address leads to. */
function carriedIn(address: IPv6): IPv4[] {
  const bytes = address.toByteArray();
  const at = (...places: number[]) => new IPv4(places.map((place) => bytes[place] ?? 0));
  const last = at(12, 13, 14, 15);
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
      return [last];
    case 'rfc6052':
      // The prefix of the local-use range may be of any length (RFC 6052, 2.2).
      return address.match(LOCAL_NAT64)
        ? [last, at(6, 7, 9, 10), at(7, 9, 10, 11), at(9, 10, 11, 12)]
        : [last];
    case '6to4':
      return [at(2, 3, 4, 5)];
    case 'teredo':
      return [at(4, 5, 6, 7), new IPv4(last.toByteArray().map((byte) => byte ^ 255))];
    default:
      if (address.match(COMPATIBLE)) return [last];
      // ISATAP (RFC 5214): an interface identifier of 0:5efe or 200:5efe.
      return bytes[10] === 0x5e && bytes[11] === 0xfe && (bytes[8] ?? 1) % 2 === 0 && bytes[9] === 0
        ? [last]
        : [];
  }
}
