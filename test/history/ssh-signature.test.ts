import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowedPrincipal } from '../../src/history/allowed-signers';
import { readSigningKey } from '../../src/history/signing-key';
import { fingerprintOf, RECORD_NAMESPACE, signBytes, signerOf } from '../../src/history/ssh-signature';
import { unpackedProgram } from '../support/servers/debian-program';

const RECORD = Buffer.from('{"a":1}\n{"b":"ü"}\n');
let folder: string;
let sshKeygen: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cutover-signature-'));
  sshKeygen = await unpackedProgram({
    program: 'ssh-keygen',
    package: 'openssh-client',
    path: 'usr/bin/ssh-keygen',
  });
  keygen('-q', '-t', 'ed25519', '-N', '', '-C', 'ana@example.com', '-f', path('key'));
  writeFileSync(path('record'), RECORD);
  writeFileSync(path('allowed'), `ana@example.com ${readFileSync(path('key.pub'), 'utf8')}`);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const path = (name: string) => join(folder, name);
// It reads the record for `-Y verify` alone: to write to one that has ended already would fail.
const keygen = (...args: string[]) =>
  execFileSync(sshKeygen, args, { input: args.includes('verify') ? RECORD : '' }).toString();
const keyText = () => readFileSync(path('key'), 'utf8');
const publicKey = () => readSigningKey(keyText()).publicBlob;
const asks = (line: string, atMs = Date.UTC(2026, 5, 1)) =>
  allowedPrincipal(line, { key: publicKey(), namespace: RECORD_NAMESPACE, atMs });

describe('the signature of a record', () => {
  it('is accepted by ssh-keygen, and is the same bytes that ssh-keygen writes', () => {
    const signature = signBytes(RECORD, readSigningKey(keyText()));
    writeFileSync(path('record.sig'), signature);
    const who = ['-n', RECORD_NAMESPACE, '-I', 'ana@example.com', '-f', path('allowed')];
    expect(keygen('-Y', 'verify', ...who, '-s', path('record.sig'))).toContain('Good');
    keygen('-q', '-Y', 'sign', '-f', path('key'), '-n', RECORD_NAMESPACE, path('record'));
    expect(readFileSync(path('record.sig'), 'utf8')).toBe(signature);
  });

  it('names the key as ssh-keygen does, and who of the allowed signers has it', () => {
    const key = signerOf(RECORD, signBytes(RECORD, readSigningKey(keyText())));
    expect(keygen('-l', '-f', path('key.pub'))).toContain(fingerprintOf(key));
    expect(asks(readFileSync(path('allowed'), 'utf8'))).toBe('ana@example.com');
  });

  it('can be made with a key in PKCS #8, such as openssl writes', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const key = readSigningKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    expect(signerOf(RECORD, signBytes(RECORD, key))).toEqual(key.publicBlob);
  });

  it('is refused for any other byte of the record, and when any byte of it is changed', () => {
    const signature = signBytes(RECORD, readSigningKey(keyText()));
    for (let at = 0; at < RECORD.length; at += 1) {
      const other = Buffer.from(RECORD);
      other[at] = (other[at] as number) ^ 1;
      expect(() => signerOf(other, signature)).toThrow('was changed');
    }
    const blob = Buffer.from(signature.split('\n').slice(1, -2).join(''), 'base64');
    for (let at = 0; at < blob.length; at += 1) {
      const other = Buffer.from(blob);
      other[at] = (other[at] as number) ^ 1;
      const text = `-----BEGIN SSH SIGNATURE-----\n${other.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
      expect(() => signerOf(RECORD, text)).toThrow();
    }
  });

  it('is refused when it was made for something else', () => {
    const signature = signBytes(RECORD, readSigningKey(keyText()), 'git');
    expect(() => signerOf(RECORD, signature)).toThrow(
      'expected a signature for cutover-record, got one for "git"',
    );
  });
});

describe('a key that cannot sign', () => {
  it.each([
    ['an encrypted one', ['-t', 'ed25519', '-N', 'secret'], 'without a passphrase'],
    ['an RSA key', ['-t', 'rsa', '-b', '2048', '-N', ''], 'expected an Ed25519 key, got ssh-rsa'],
    ['an EC key in PEM', ['-t', 'ecdsa', '-N', '', '-m', 'PKCS8'], 'expected an Ed25519 key, got ec'],
  ])('is refused with a sentence that does not hold it: %s', (name, args, sentence) => {
    const file = path(name.replaceAll(' ', '-'));
    keygen('-q', ...args, '-f', file);
    expect(() => readSigningKey(readFileSync(file, 'utf8'))).toThrow(sentence);
  });

  it('is refused when it is no key at all', () => {
    expect(() => readSigningKey('sk-secret')).toThrow(/^expected an Ed25519 private key(?!.*sk-secret)/);
  });
});

describe('allowed signers', () => {
  const line = (options: string) =>
    `ana@example.com ${options} ${readFileSync(path('key.pub'), 'utf8').trim()}`;

  it.each([
    ['namespaces="git,cutover-record"', true],
    ['namespaces="git"', false],
    ['valid-after="20260101",valid-before="20270101Z"', true],
    ['valid-before="20260101"', false],
    ['valid-after="202607010000"', false],
    ['cert-authority', false],
  ])('are asked for what and when: %s', (options, allowed) => {
    expect(asks(line(options))).toBe(allowed ? 'ana@example.com' : null);
  });

  it('may be in a file with comments and other keys', () => {
    const other = `bob ${readFileSync(path('key.pub'), 'utf8').replace('AAAAC3NzaC1lZDI1NTE5AAAAI', 'AAAAC3NzaC1lZDI1NTE5AAAAJ')}`;
    expect(asks(`# people\n\n${other}\n"ana,bea" ${readFileSync(path('key.pub'), 'utf8')}`)).toBe('ana,bea');
    expect(asks(other)).toBeNull();
  });

  it('name the line that cannot be read', () => {
    expect(() => asks('# people\nana')).toThrow('expected line 2');
    expect(() => asks(line('no-touch-required'))).toThrow('expected no option "no-touch-required"');
  });
});
