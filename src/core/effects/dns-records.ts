/** Record types that a plan may set. */
export const DNS_TYPES = ['A', 'AAAA', 'CNAME', 'TXT', 'SRV'] as const;

export type DnsType = (typeof DNS_TYPES)[number];

/** What is wrong with the text of one record; null when nothing is. */
export function recordProblem(type: DnsType, value: string): string | null {
  switch (type) {
    case 'A':
      return isIpv4(value) ? null : 'expected an IPv4 address';
    case 'AAAA':
      return isIpv6(value) ? null : 'expected an IPv6 address';
    case 'CNAME':
      return isName(value) ? null : 'expected a domain name';
    case 'TXT':
      return value.length <= 2_000 ? null : 'expected at most 2000 characters';
    case 'SRV': {
      const [priority, weight, port, target, ...rest] = value.trim().split(/\s+/);
      const numbers = [priority, weight, port].every(
        (text) => /^\d+$/.test(text ?? '') && Number(text) <= 65_535,
      );
      const fits = numbers && rest.length === 0 && isName(target ?? '');
      return fits ? null : 'expected "priority weight port target" with whole numbers up to 65535';
    }
    default:
      return type satisfies never;
  }
}

/** Types that must go when a type is set at a name: CNAME stands alone (RFC 1034, 3.6.2). */
export function typesReplaced(type: DnsType): readonly DnsType[] {
  return type === 'CNAME' ? DNS_TYPES : [type, 'CNAME'];
}

/** Whether a name is the zone's own or below it. */
export function isWithinZone(name: string, zone: string): boolean {
  const [inner, outer] = [canonicalName(name), canonicalName(zone)];
  return inner === outer || inner.endsWith(`.${outer}`);
}

/** A name as two of them are compared: lower case, without the last dot. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function isName(text: string): boolean {
  const name = text.replace(/\.$/, '');
  return name.length <= 253 && name.split('.').every((label) => /^[A-Za-z0-9_-]{1,63}$/.test(label));
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  if (!/^[0-9A-Fa-f:.]+$/.test(text)) return false;
  try {
    return new URL(`http://[${text}]/`).hostname !== '';
  } catch {
    return false;
  }
}
