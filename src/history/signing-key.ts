import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { InvalidSshData, SshReader, sshString, unarmored } from './ssh-wire';

/** An Ed25519 key that signs records. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  /** The public key as SSH writes it (RFC 8709). */
  readonly publicBlob: Buffer;
}

/** The one kind of key that signs records, as SSH names it. */
export const ED25519 = 'ssh-ed25519';

const OPENSSH = 'OPENSSH PRIVATE KEY';

/**
 * Reads an Ed25519 private key: OpenSSH's format (`ssh-keygen -t ed25519`) or PKCS #8 in PEM, without a passphrase.
 * Throws `InvalidSshData`, whose message never holds the key.
 */
export function readSigningKey(text: string): SigningKey {
  const openssh = unarmored(text, OPENSSH);
  const privateKey = openssh === null ? fromPem(text) : fromSeed(seedOf(openssh));
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new InvalidSshData(`expected an Ed25519 key, got ${privateKey.asymmetricKeyType}`);
  }
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const publicBlob = Buffer.concat([sshString(ED25519), sshString(Buffer.from(String(x), 'base64url'))]);
  return { privateKey, publicBlob };
}

function fromPem(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    throw new InvalidSshData(
      'expected an Ed25519 private key without a passphrase, in OpenSSH format or as PKCS #8 in PEM',
    );
  }
}

/** RFC 8410: an Ed25519 key in PKCS #8 is this beginning and the 32 bytes of its seed. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

function fromSeed(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' });
}

const MAGIC = 'openssh-key-v1\0';

/** OpenSSH's PROTOCOL.key: magic, cipher, key derivation, its options, one public key, one private part. */
function seedOf(bytes: Buffer): Buffer {
  const outer = new SshReader(bytes);
  if (outer.take(MAGIC.length).toString('latin1') !== MAGIC) {
    throw new InvalidSshData('expected the beginning of an OpenSSH key');
  }
  const [cipher] = [outer.text(), outer.string(), outer.string()];
  if (cipher !== 'none')
    throw new InvalidSshData('expected a key without a passphrase, got an encrypted one');
  if (outer.uint32() !== 1) throw new InvalidSshData('expected one key');
  outer.string();
  const inner = new SshReader(outer.string());
  // The two numbers are equal in a key that was deciphered rightly.
  const checks = [inner.uint32(), inner.uint32()];
  if (checks[0] !== checks[1]) throw new InvalidSshData('expected a key that is whole');
  const type = inner.text();
  if (type !== ED25519) throw new InvalidSshData(`expected an Ed25519 key, got ${type.slice(0, 40)}`);
  inner.string();
  return Buffer.from(inner.string().subarray(0, 32));
}
