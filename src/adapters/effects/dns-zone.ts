import { randomInt } from 'node:crypto';
import { type Answer, type DecodedPacket, decode, encode, type Packet } from 'dns-packet';
import { canonicalName, type DnsType } from '../../core/effects/dns-records';
import { EffectProblem } from '../../core/effects/effect-problem';
import { type DnsAddress, exchange } from './dns-exchange';
import { signMessage, type TsigKey, verifiedAnswer } from './tsig';

/** The records of one type at one name; TXT as its pieces, the others as text. */
export interface RecordSet {
  readonly type: DnsType;
  readonly ttlS: number;
  readonly values: readonly (string | readonly string[])[];
}

const OPCODE_UPDATE = 5 << 11;
const NUMBERS: Readonly<Record<DnsType, number>> = { A: 1, CNAME: 5, TXT: 16, AAAA: 28, SRV: 33 };
const CLASS_ANY = 'ANY';
const PIECE_MOST_BYTES = 255;

export interface ZoneOptions {
  readonly server: DnsAddress;
  readonly zone: string;
  readonly key: TsigKey;
  readonly timeoutMs: number;
  readonly nowMs: () => number;
}

/** One zone at its authoritative primary: signed queries and updates (RFC 2136), answers verified. */
export class DnsZone {
  constructor(private readonly options: ZoneOptions) {}

  /** The serial of the zone, and for how long its "there is no such record" may be cached. */
  async authority(signal: AbortSignal): Promise<{ readonly serial: number; readonly negativeTtlS: number }> {
    const { answers } = await this.#query(this.options.zone, 'SOA', signal);
    const soa = answers?.find((answer) => answer.type === 'SOA');
    if (soa === undefined) throw new EffectProblem(`the server has no zone ${this.options.zone}`, false);
    const { serial = 0, minimum = 0 } = soa.data;
    return { serial, negativeTtlS: Math.min(soa.ttl ?? 0, minimum) };
  }

  /** The records of one type at a name as the server answers them; null when there are none. */
  async read(name: string, type: DnsType, signal: AbortSignal): Promise<RecordSet | null> {
    const { answers = [] } = await this.#query(name, type, signal);
    const own = answers.filter(
      (answer) => answer.type === type && canonicalName(answer.name) === canonicalName(name),
    );
    if (own.length === 0) return null;
    return {
      type,
      ttlS: Math.max(...own.map((answer) => ('ttl' in answer ? (answer.ttl ?? 0) : 0))),
      values: own.map(valueIn).sort(byText),
    };
  }

  /**
   * Whether records stand at the name itself rather than come from a wildcard: an update that asks for them and
   * changes nothing (RFC 2136, 2.4.1).
   */
  async owns(name: string, type: DnsType, signal: AbortSignal): Promise<boolean> {
    const { rcode } = await this.#update([absent(name, type)], [], signal);
    if (rcode === 'NOERROR') return true;
    if (rcode === 'NXRRSET' || rcode === 'NXDOMAIN') return false;
    throw refused('the update', rcode);
  }

  /** Replaces all records of the given types at a name by the given sets, in one step. */
  async replace(
    name: string,
    types: readonly DnsType[],
    sets: readonly RecordSet[],
    signal: AbortSignal,
  ): Promise<void> {
    const updates = [
      ...types.map((type) => absent(name, type)),
      ...sets.flatMap((set) => set.values.map((value) => record(name, set, value))),
    ];
    const { rcode } = await this.#update([], updates, signal);
    if (rcode !== 'NOERROR') throw refused('the update', rcode);
  }

  async #query(name: string, type: DnsType | 'SOA', signal: AbortSignal): Promise<DecodedAnswer> {
    const answer = await this.#exchange({ type: 'query', questions: [{ name: bare(name), type }] }, signal);
    if (answer.rcode !== 'NOERROR' && answer.rcode !== 'NXDOMAIN') throw refused('a query', answer.rcode);
    if (!answer.flag_aa) {
      throw new EffectProblem(
        `the server is not authoritative for ${this.options.zone}: name its primary`,
        false,
      );
    }
    return answer;
  }

  #update(prerequisites: Answer[], updates: Answer[], signal: AbortSignal): Promise<DecodedAnswer> {
    const questions = [{ name: bare(this.options.zone), type: 'SOA' as const }];
    return this.#exchange(
      { type: 'query', flags: OPCODE_UPDATE, questions, answers: prerequisites, authorities: updates },
      signal,
    );
  }

  async #exchange(packet: Packet, signal: AbortSignal): Promise<DecodedAnswer> {
    const { server, key, timeoutMs, nowMs } = this.options;
    const id = randomInt(0x10000);
    const { signed, mac } = signMessage(encode({ ...packet, id }), key, nowMs());
    const answer = await exchange(server, signed, timeoutMs, signal);
    try {
      const decoded = decode(verifiedAnswer(answer, key, mac, nowMs())) as DecodedAnswer;
      if (decoded.id === id) return decoded;
    } catch (error) {
      if (error instanceof EffectProblem) throw error;
    }
    throw new EffectProblem('the DNS server answered something that is not an answer to our message', true);
  }
}

/** dns-packet gives the response code as text, which its types leave out. */
type DecodedAnswer = DecodedPacket & { readonly rcode: string };

/** Texts of a TXT record, cut into pieces as the protocol wants them. */
function textPieces(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  const count = Math.max(1, Math.ceil(bytes.length / PIECE_MOST_BYTES));
  return Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * PIECE_MOST_BYTES, (index + 1) * PIECE_MOST_BYTES).toString('latin1'),
  );
}

/** One record's value as it is compared and stored: names in lower case and without their last dot. */
export function canonicalValue(type: DnsType, value: string): string | readonly string[] {
  switch (type) {
    case 'A':
      return value;
    case 'AAAA':
      return new URL(`http://[${value}]`).hostname.slice(1, -1);
    case 'CNAME':
      return canonicalName(value);
    case 'TXT':
      return textPieces(value);
    case 'SRV': {
      const [priority, weight, port, target = ''] = value.trim().split(/\s+/);
      return [Number(priority), Number(weight), Number(port), canonicalName(target)].join(' ');
    }
    default:
      return type satisfies never;
  }
}

/** The same order for the same values, whatever the order of an answer. */
export function byText(one: string | readonly string[], other: string | readonly string[]): number {
  const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function valueIn(answer: Answer): string | readonly string[] {
  switch (answer.type) {
    case 'A':
    case 'AAAA':
    case 'CNAME':
      return canonicalValue(answer.type, answer.data);
    case 'TXT':
      return [answer.data].flat().map((piece) => Buffer.from(piece as Buffer).toString('latin1'));
    case 'SRV': {
      const { priority = 0, weight = 0, port, target } = answer.data;
      return canonicalValue('SRV', `${priority} ${weight} ${port} ${target}`);
    }
    default:
      throw new EffectProblem(
        `the server answered a record of type ${answer.type}, which was not asked for`,
        true,
      );
  }
}

function record(name: string, { type, ttlS }: RecordSet, value: string | readonly string[]): Answer {
  const head = { name: bare(name), ttl: ttlS, class: 'IN' as const };
  if (typeof value !== 'string') {
    return { ...head, type: 'TXT', data: value.map((piece) => Buffer.from(piece, 'latin1')) };
  }
  if (type === 'SRV') {
    const [priority, weight, port, target = ''] = value.split(' ');
    const data = { priority: Number(priority), weight: Number(weight), port: Number(port), target };
    return { ...head, type, data };
  }
  return { ...head, type, data: value } as Answer;
}

/**
 * A record of a type without data and of class ANY: among updates "delete all of this type", among prerequisites
 * "some of this type are there". As an unknown type its data may be empty.
 */
function absent(name: string, type: DnsType): Answer {
  const placeholder = { name: bare(name), type: `UNKNOWN_${NUMBERS[type]}`, class: CLASS_ANY, ttl: 0 };
  return { ...placeholder, data: Buffer.alloc(0) } as unknown as Answer;
}

function bare(name: string): string {
  return name.replace(/\.$/, '');
}

const REASONS: Readonly<Record<string, string>> = {
  NOTAUTH: 'it is not authoritative for the zone, or does not know the key',
  NOTZONE: 'a name is outside of the zone',
  REFUSED: 'the key is not allowed to do this',
  NOTIMP: 'it accepts no updates',
};

function refused(what: string, rcode: string): EffectProblem {
  const reason = REASONS[rcode];
  return new EffectProblem(
    `the DNS server answered ${rcode} to ${what}${reason === undefined ? '' : `: ${reason}`}`,
    rcode === 'SERVFAIL',
  );
}
