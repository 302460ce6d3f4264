import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createServer as createSocketServer, type Socket, type Server as SocketServer } from 'node:net';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as SecureServer,
  type TlsOptions,
} from 'node:tls';
import type { ListenerTlsConfiguration } from '../../core/configuration/configuration-schema';

const LOOK_EVERY_MS = 1_000;
/** For a caller to finish the handshake. */
const HANDSHAKE_MS = 10_000;

/** Thrown for a certificate, key or CA of a listener that cannot be used; names the setting. */
class UnusableTls extends Error {
  override readonly name = 'UnusableTls';
  constructor(
    readonly setting: string,
    expected: string,
    options?: ErrorOptions,
  ) {
    super(`${setting}: expected ${expected}`, options);
  }
}

export interface ListenerTlsOptions {
  /** As the configuration names it, such as `tls.admin`. */
  readonly setting: string;
  readonly configuration: ListenerTlsConfiguration;
  readonly resolveSecret: (reference: string) => string;
  readonly warn: (message: string) => void;
}

interface Pems {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | null;
}

/**
 * The certificate, the key and the client CA of one listener. Once a second they are read again: connections that
 * are made after a change get the new ones, open ones stay. What cannot be used then is reported, and the last good
 * ones stay. Throws `UnusableTls` where the first ones cannot be used.
 */
export class ListenerTls {
  readonly #options: ListenerTlsOptions;
  #pems: Pems;
  /** Looks in a row that found nothing that can be used. */
  #failures = 0;

  constructor(options: ListenerTlsOptions) {
    this.#options = options;
    this.#pems = this.#read();
  }

  /** Options of a server that listens with this; TLS 1.2 and newer. */
  get server(): TlsOptions {
    const asksForCertificate = this.#pems.ca !== null;
    return {
      ...contextOf(this.#pems),
      handshakeTimeout: HANDSHAKE_MS,
      requestCert: asksForCertificate,
      rejectUnauthorized: asksForCertificate,
    };
  }

  /** Gives a server what changes, for as long as it is open. */
  follow(server: SecureServer): void {
    const timer = setInterval(() => this.#look(server), LOOK_EVERY_MS);
    timer.unref();
    server.once('close', () => clearInterval(timer));
  }

  #look(server: SecureServer): void {
    try {
      const pems = this.#read();
      this.#failures = 0;
      if (pems.cert === this.#pems.cert && pems.key === this.#pems.key && pems.ca === this.#pems.ca) return;
      server.setSecureContext(contextOf(pems));
      this.#pems = pems;
      this.#options.warn(`${this.#options.setting}: a new certificate or client CA is in use`);
    } catch (error) {
      const { message } = error as Error;
      this.#failures += 1;
      // Said at the second look: files that are replaced one after the other do not fit each other in between.
      if (this.#failures === 2) this.#options.warn(`${message}; the last good one stays in use`);
    }
  }

  #read(): Pems {
    const { setting, configuration } = this.#options;
    const { certificate, key, clientCa } = configuration;
    const cert = this.#resolve('certificate', certificate);
    const parsed = parse(
      `${setting}.certificate`,
      'a certificate in PEM',
      certificate,
      () => new X509Certificate(cert),
    );
    const keyPem = this.#resolve('key', key);
    const privateKey = parse(`${setting}.key`, 'a private key in PEM', key, () => createPrivateKey(keyPem));
    if (!parsed.checkPrivateKey(privateKey)) {
      throw new UnusableTls(
        `${setting}.key`,
        `the key of the certificate at ${certificate}, got another one at ${key}`,
      );
    }
    if (clientCa === undefined) return { cert, key: keyPem, ca: null };
    const ca = this.#resolve('clientCa', clientCa);
    parse(`${setting}.clientCa`, 'certificates in PEM', clientCa, () => new X509Certificate(ca));
    return { cert, key: keyPem, ca };
  }

  #resolve(field: string, reference: string): string {
    try {
      return this.#options.resolveSecret(reference);
    } catch (cause) {
      throw new UnusableTls(`${this.#options.setting}.${field}`, withoutExpected((cause as Error).message), {
        cause,
      });
    }
  }
}

/** The TLS of a listener, null for one without. Throws `UnusableTls`. */
export function openListenerTls(
  setting: string,
  configuration: ListenerTlsConfiguration | undefined,
  parts: Pick<ListenerTlsOptions, 'resolveSecret' | 'warn'>,
): ListenerTls | null {
  return configuration === undefined ? null : new ListenerTls({ setting, configuration, ...parts });
}

/** An HTTP server, not listening yet; with TLS where one is given. */
export function createListener(
  tls: ListenerTls | null,
  options: ServerOptions,
  answer?: RequestListener,
): Server {
  if (tls === null) return createServer(options, answer);
  const server = createSecureServer({ ...options, ...tls.server }, answer);
  tls.follow(server);
  return server;
}

/** A server of connections that speak HTTP/1.1 alone, not listening yet; with TLS where one is given. */
export function createSocketListener(tls: ListenerTls | null, take: (socket: Socket) => void): SocketServer {
  if (tls === null) return createSocketServer(take);
  const server = createTlsServer({ ...tls.server, ALPNProtocols: ['http/1.1'] }, take);
  tls.follow(server);
  return server;
}

/** `http` or `https`, as a server made here speaks. */
export function schemeOf(server: object): 'http' | 'https' {
  return 'setSecureContext' in server ? 'https' : 'http';
}

function contextOf({ cert, key, ca }: Pems): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2', ...(ca === null ? {} : { ca }) };
}

function parse<Parsed>(setting: string, expected: string, reference: string, act: () => Parsed): Parsed {
  try {
    return act();
  } catch (cause) {
    // OpenSSL's own words would only say which of its routines gave up.
    throw new UnusableTls(setting, `${expected} at ${reference}, got something else`, { cause });
  }
}

function withoutExpected(message: string): string {
  return message.replace(/^expected /, '');
}
