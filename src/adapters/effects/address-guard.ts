import { BlockList, isIP } from 'node:net';

type Subnet = readonly [network: string, prefix: number, family: 'ipv4' | 'ipv6'];

/** Never connected to: link-local addresses and the well-known places of cloud metadata (also behind NAT64). */
const NEVER: readonly Subnet[] = [
  ['169.254.0.0', 16, 'ipv4'],
  ['100.100.100.200', 32, 'ipv4'],
  ['192.0.0.192', 32, 'ipv4'],
  ['fe80::', 10, 'ipv6'],
  ['fd00:ec2::254', 128, 'ipv6'],
  ['fd20:ce::254', 128, 'ipv6'],
  ['64:ff9b::a9fe:0', 112, 'ipv6'],
];

/** Special purpose (RFC 6890): connected to only where the configuration says `allowPrivate`. */
const PRIVATE: readonly Subnet[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'],
  ['240.0.0.0', 4, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['::1', 128, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

const never = blockList(NEVER);
const privateOnes = blockList(PRIVATE);

/** Why an IP address may not be connected to; null when it may. IPv4 in IPv6 counts as the IPv4 that it is. */
export function addressProblem(address: string, allowPrivate: boolean): string | null {
  const version = isIP(address);
  if (version === 0) return 'is no IP address';
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (never.check(address, family)) return 'is link-local or a metadata service, which is never connected to';
  if (!allowPrivate && privateOnes.check(address, family)) {
    return 'is loopback or private: say allowPrivate: true where that is meant';
  }
  return null;
}

function blockList(subnets: readonly Subnet[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix, family] of subnets) list.addSubnet(network, prefix, family);
  return list;
}
