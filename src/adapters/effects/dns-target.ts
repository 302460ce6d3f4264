import { isDeepStrictEqual } from 'node:util';
import type { EffectTargetConfiguration } from '../../core/configuration/configuration-schema';
import { type DnsType, isWithinZone, recordProblem, typesReplaced } from '../../core/effects/dns-records';
import type { Json } from '../../core/effects/effect';
import { EffectProblem } from '../../core/effects/effect-problem';
import type { DnsSet } from '../../core/effects/effect-schema';
import { fillText } from '../../core/effects/template';
import { byText, canonicalValue, DnsZone, type RecordSet } from './dns-zone';
import type { EffectJob, EffectTarget, TargetTools } from './effect-target';

type DnsConfiguration = Extract<EffectTargetConfiguration, { type: 'dns' }>;

const DNS_PORT = 53;
/** A server may answer from its old zone for a moment after it took an update. */
const VERIFY_ATTEMPTS = 5;
const VERIFY_PAUSE_MS = 200;

/** The record sets that stood at the name before. */
interface CapturedRecords {
  readonly types: readonly DnsType[];
  readonly sets: readonly RecordSet[];
}

/** Records of a zone, changed by signed dynamic updates (RFC 2136) and verified at the same server. */
export function createDnsTarget(configuration: DnsConfiguration, tools: TargetTools): EffectTarget {
  const open = (): DnsZone => {
    const { tsig, zone, timeout } = configuration;
    const secret = Buffer.from(tools.resolveSecret(tsig.secret), 'base64');
    if (secret.length === 0)
      throw new EffectProblem(`expected base64 at ${tsig.secret}, got something else`, false);
    const key = { name: tsig.name, algorithm: tsig.algorithm, secret };
    const server = { ...serverOf(configuration.server), allowPrivate: configuration.allowPrivate };
    return new DnsZone({ server, zone, key, timeoutMs: timeout, nowMs: tools.nowMs });
  };

  const readAll = async (zone: DnsZone, name: string, types: readonly DnsType[], signal: AbortSignal) => {
    const sets: RecordSet[] = [];
    for (const type of types) {
      const set = await zone.read(name, type, signal);
      if (set !== null && (await zone.owns(name, type, signal))) sets.push(set);
    }
    return sets;
  };

  /** Makes the name hold exactly these sets of these types; says for how long caches may hold something else. */
  const put = async (
    name: string,
    { types, sets }: CapturedRecords,
    signal: AbortSignal,
  ): Promise<string> => {
    const zone = open();
    const before = await readAll(zone, name, types, signal);
    if (isDeepStrictEqual(before, sets)) return `${name} already was ${shown(sets)}`;
    const { negativeTtlS } = await zone.authority(signal);
    await zone.replace(name, types, sets, signal);
    const seen = await verified(name, zone, { types, sets }, signal);
    const staleS = Math.max(negativeTtlS, ...before.map(({ ttlS }) => ttlS));
    return `${name} is ${seen} at ${configuration.server}; caches may answer as before for up to ${staleS} s`;
  };

  const verified = async (
    name: string,
    zone: DnsZone,
    { types, sets }: CapturedRecords,
    signal: AbortSignal,
  ): Promise<string> => {
    for (let attempt = 1; ; attempt++) {
      const seen = await readAll(zone, name, types, signal);
      if (isDeepStrictEqual(seen, sets)) return shown(seen);
      if (attempt === VERIFY_ATTEMPTS) {
        throw new EffectProblem(
          `the DNS server accepted the update, but answers ${shown(seen)} for ${name} where ${shown(sets)} was set`,
          true,
        );
      }
      await tools.sleep(VERIFY_PAUSE_MS, signal);
    }
  };

  return {
    async reach(signal) {
      const { serial } = await open().authority(signal);
      return `${configuration.server} is authoritative for ${configuration.zone}, serial ${serial}, and knows the key`;
    },
    async capture({ set }, signal) {
      const { name, type } = set as unknown as DnsSet;
      const types = typesReplaced(type);
      return { types, sets: await readAll(open(), name, types, signal) } as unknown as Json;
    },
    apply(job, signal) {
      const { name, type } = job.set as unknown as DnsSet;
      return put(name, { types: typesReplaced(type), sets: [wantedSet(job, configuration)] }, signal);
    },
    restore({ set, captured }, signal) {
      return put((set as unknown as DnsSet).name, captured as unknown as CapturedRecords, signal);
    },
  };
}

/** What the plan asks for with its variables filled in; throws `EffectProblem` for what can be no record. */
function wantedSet({ set, values }: EffectJob, { zone, ttl }: DnsConfiguration): RecordSet {
  const wanted = set as unknown as DnsSet;
  if (!isWithinZone(wanted.name, zone)) {
    throw new EffectProblem(`expected a name within the zone ${zone}, got "${wanted.name}"`, false);
  }
  const filled = wanted.values.map((value) => {
    const text = fillText(value, values);
    const problem = recordProblem(wanted.type, text);
    if (problem !== null) throw new EffectProblem(`${wanted.type} record: ${problem}, got "${text}"`, false);
    return canonicalValue(wanted.type, text);
  });
  const once = filled.sort(byText).filter((value, index) => !isDeepStrictEqual(value, filled[index - 1]));
  return { type: wanted.type, ttlS: Math.round((wanted.ttl ?? ttl) / 1_000), values: once };
}

function serverOf(server: string): { host: string; port: number } {
  const { hostname, port } = new URL(`dns://${server}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? DNS_PORT : Number(port) };
}

function shown(sets: readonly RecordSet[]): string {
  if (sets.length === 0) return 'without records';
  return sets
    .map(
      ({ type, ttlS, values }) =>
        `${type} ${values.map((value) => [value].flat().join('')).join(', ')} (TTL ${ttlS} s)`,
    )
    .join('; ');
}
