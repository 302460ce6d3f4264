import { InvalidSshData } from './ssh-wire';

/** A line of an allowed signers file (ssh-keygen(1)): who may sign with a key, for what and when. */
interface AllowedSigner {
  readonly principals: readonly string[];
  readonly key: Buffer;
  /** Null: for everything. */
  readonly namespaces: readonly string[] | null;
  readonly validAfterMs: number;
  readonly validBeforeMs: number;
}

/**
 * The first name under which an allowed signers file lets a key sign; null where it does not. A line for a
 * certificate authority never counts: records are signed by keys. Throws `InvalidSshData` that names a line.
 */
export function allowedPrincipal(
  file: string,
  question: { readonly key: Buffer; readonly namespace: string; readonly atMs: number },
): string | null {
  const { key, namespace, atMs } = question;
  const line = file
    .split(/\r?\n/)
    .flatMap((text, index) => readLine(text, index + 1) ?? [])
    .find(
      (signer) =>
        signer.key.equals(key) &&
        (signer.namespaces === null || signer.namespaces.includes(namespace)) &&
        signer.validAfterMs <= atMs &&
        atMs < signer.validBeforeMs,
    );
  return line?.principals.join(',') ?? null;
}

const LINE =
  /^(?<principals>"[^"]*"|\S+)\s+(?:(?<options>(?:[a-z-]+(?:="[^"]*")?)(?:,[a-z-]+(?:="[^"]*")?)*)\s+)?(?<type>(?:ssh|ecdsa|sk)-\S+)\s+(?<key>[A-Za-z0-9+/=]+)(?:\s.*)?$/;

function readLine(text: string, number: number): AllowedSigner | null {
  const line = text.trim();
  if (line === '' || line.startsWith('#')) return null;
  const found = LINE.exec(line)?.groups;
  if (found === undefined) {
    throw new InvalidSshData(
      `expected line ${number} to be "NAMES [OPTIONS] ssh-ed25519 KEY" as ssh-keygen writes it`,
    );
  }
  const options = new Map(
    [...(found['options'] ?? '').matchAll(/([a-z-]+)(?:="([^"]*)")?/g)].map(([, name, value]) => [
      name as string,
      value ?? '',
    ]),
  );
  const unknown = [...options.keys()].find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw new InvalidSshData(`line ${number}: expected no option "${unknown}"`);
  if (options.has('cert-authority')) return null;
  return {
    principals: String(found['principals']).replaceAll('"', '').split(','),
    key: Buffer.from(String(found['key']), 'base64'),
    namespaces: options.get('namespaces')?.split(',') ?? null,
    validAfterMs: timeOf(options.get('valid-after'), Number.NEGATIVE_INFINITY, number),
    validBeforeMs: timeOf(options.get('valid-before'), Number.POSITIVE_INFINITY, number),
  };
}

const OPTIONS: readonly string[] = ['cert-authority', 'namespaces', 'valid-after', 'valid-before'];

/** YYYYMMDD or YYYYMMDDHHMM[SS], in local time or with a Z at the end in UTC. */
const TIME = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z?)$/;

function timeOf(text: string | undefined, otherwise: number, line: number): number {
  if (text === undefined) return otherwise;
  const parts = TIME.exec(text);
  if (parts === null) throw new InvalidSshData(`line ${line}: expected YYYYMMDD[HHMM[SS]][Z], got "${text}"`);
  const [year = 0, month = 1, ...rest] = parts.slice(1, 7).map((part) => Number(part ?? 0));
  const [day = 1, hour = 0, minute = 0, second = 0] = rest;
  return parts[7] === 'Z'
    ? Date.UTC(year, month - 1, day, hour, minute, second)
    : new Date(year, month - 1, day, hour, minute, second).getTime();
}
