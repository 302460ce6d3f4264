import { createHash, createPublicKey, sign, verify } from 'node:crypto';
import { ED25519, type SigningKey } from './signing-key';
import { armored, InvalidSshData, SshReader, sshString, uint32, unarmored } from './ssh-wire';

/** What a record's signature is for: OpenSSH refuses one that was made for something else. */
export const RECORD_NAMESPACE = 'cutover-record';

const LABEL = 'SSH SIGNATURE';
const MAGIC = 'SSHSIG';
const VERSION = 1;
const HASHES: readonly string[] = ['sha512', 'sha256'];

/**
 * Signs bytes as OpenSSH does (its PROTOCOL.sshsig): `ssh-keygen -Y verify` accepts what this gives. Ed25519 signs
 * without randomness, so the same bytes and key give the same signature.
 */
export function signBytes(bytes: Buffer, key: SigningKey, namespace = RECORD_NAMESPACE): string {
  const [hash] = HASHES as [string];
  const signature = sign(null, signedBytes(bytes, namespace, hash), key.privateKey);
  const blob = Buffer.concat([
    ...[Buffer.from(MAGIC), uint32(VERSION), sshString(key.publicBlob)],
    ...[sshString(namespace), sshString(''), sshString(hash)],
    sshString(Buffer.concat([sshString(ED25519), sshString(signature)])),
  ]);
  return armored(blob, LABEL);
}

/** The public key that signed some bytes, as SSH writes it. Throws `InvalidSshData` where the signature is not theirs. */
export function signerOf(bytes: Buffer, signature: string, namespace = RECORD_NAMESPACE): Buffer {
  const blob = unarmored(signature, LABEL);
  if (blob === null) throw new InvalidSshData(`expected -----BEGIN ${LABEL}-----`);
  const read = new SshReader(blob);
  if (read.take(MAGIC.length).toString('latin1') !== MAGIC || read.uint32() !== VERSION) {
    throw new InvalidSshData(`expected a signature in the format ${MAGIC} ${VERSION}`);
  }
  const [publicBlob, signedFor, reserved, hash] = [read.string(), read.text(), read.string(), read.text()];
  const inner = new SshReader(read.string());
  if (!read.isAtEnd) throw new InvalidSshData('expected nothing after the signature');
  if (signedFor !== namespace) {
    throw new InvalidSshData(
      `expected a signature for ${namespace}, got one for "${signedFor.slice(0, 60)}"`,
    );
  }
  if (!HASHES.includes(hash)) throw new InvalidSshData(`expected ${HASHES.join(' or ')}`);
  if (reserved.length > 0) throw new InvalidSshData('expected no reserved field');
  const algorithm = inner.text();
  const raw = inner.string();
  if (algorithm !== ED25519) {
    throw new InvalidSshData(`expected a signature by ${ED25519}, got ${algorithm.slice(0, 40)}`);
  }
  const publicKey = publicKeyOf(publicBlob);
  if (!inner.isAtEnd || !verify(null, signedBytes(bytes, namespace, hash), publicKey, raw)) {
    throw new InvalidSshData('it is the signature of something else: the file or the signature was changed');
  }
  return publicBlob;
}

/** How OpenSSH names a public key: SHA-256 in base64 without padding. */
export function fingerprintOf(publicBlob: Buffer): string {
  return `SHA256:${createHash('sha256').update(publicBlob).digest('base64').replace(/=+$/, '')}`;
}

function signedBytes(bytes: Buffer, namespace: string, hash: string): Buffer {
  const digest = createHash(hash).update(bytes).digest();
  return Buffer.concat([
    ...[Buffer.from(MAGIC), sshString(namespace), sshString('')],
    ...[sshString(hash), sshString(digest)],
  ]);
}

function publicKeyOf(blob: Buffer) {
  const read = new SshReader(blob);
  const type = read.text();
  if (type !== ED25519) throw new InvalidSshData(`expected a key of ${ED25519}, got ${type.slice(0, 40)}`);
  const x = read.string();
  if (x.length !== 32 || !read.isAtEnd) throw new InvalidSshData('expected the 32 bytes of an Ed25519 key');
  const key = { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') };
  return createPublicKey({ key, format: 'jwk' });
}
