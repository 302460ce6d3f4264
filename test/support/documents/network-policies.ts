import { BlockList, isIPv6 } from 'node:net';

/** A pod with its labels, or an address outside of the cluster. */
export type Peer =
  | {
      readonly namespace: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
    }
  | { readonly address: string };

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
}
interface Rule {
  readonly ports?: readonly { readonly protocol?: string; readonly port: number | string }[];
  readonly from?: readonly RulePeer[];
  readonly to?: readonly RulePeer[];
}
interface RulePeer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}
interface Policy {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

const NAMESPACE = 'cutover';

/**
 * Whether the policies of our namespace let a connection through, by the rules of Kubernetes: a pod that any policy of
 * a direction selects is closed in that direction but for what one of them allows; both ends have to agree.
 */
export function isAllowed(
  manifests: readonly { readonly kind: string; readonly spec: Policy }[],
  from: Peer,
  to: Peer,
  port: number,
): boolean {
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => spec);
  const rulesOf = (peer: Peer, type: 'Ingress' | 'Egress') => {
    if ('address' in peer || peer.namespace !== NAMESPACE) return null;
    const own = policies.filter(
      ({ podSelector, policyTypes }) => policyTypes.includes(type) && selects(podSelector, peer.labels),
    );
    return own.length === 0
      ? null
      : own.flatMap(({ ingress, egress }) => (type === 'Ingress' ? ingress : egress) ?? []);
  };
  const out = rulesOf(from, 'Egress');
  const into = rulesOf(to, 'Ingress');
  const passes = (rules: readonly Rule[] | null, other: Peer, direction: 'from' | 'to') =>
    rules === null ||
    rules.some(
      (rule) =>
        (rule.ports === undefined || rule.ports.some((each) => portOf(each.port, to) === port)) &&
        (rule[direction] === undefined || rule[direction].some((peer) => matches(peer, other))),
    );
  return passes(out, to, 'to') && passes(into, from, 'from');
}

function selects({ matchLabels = {} }: Selector, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
}

function portOf(port: number | string, to: Peer): number | undefined {
  if (typeof port === 'number') return port;
  return 'address' in to ? undefined : to.ports?.find(({ name }) => name === port)?.containerPort;
}

function matches({ podSelector, namespaceSelector, ipBlock }: RulePeer, peer: Peer): boolean {
  if ('address' in peer) {
    return (
      ipBlock !== undefined &&
      isWithin(ipBlock.cidr, peer.address) &&
      !(ipBlock.except ?? []).some((cidr) => isWithin(cidr, peer.address))
    );
  }
  if (podSelector === undefined && namespaceSelector === undefined) return false;
  const inNamespace =
    namespaceSelector === undefined
      ? peer.namespace === NAMESPACE
      : selects(namespaceSelector, { 'kubernetes.io/metadata.name': peer.namespace });
  return inNamespace && (podSelector === undefined || selects(podSelector, peer.labels));
}

function isWithin(cidr: string, address: string): boolean {
  const [network = '', bits = ''] = cidr.split('/');
  const family = isIPv6(network) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
