import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ConsoleConfiguration } from '../../core/configuration/console-schema';
import { guardedFetch } from '../../guarded-fetch';
import {
  cookieOf,
  type Identity,
  isRefusal,
  type Visitor,
  type VisitorRefusal,
  visitorNamed,
} from './visitor';

/** An ES module only, and of no use to a console that asks for a token. */
const loadOidc = () => import('openid-client');
type OidcClient = Awaited<ReturnType<Awaited<ReturnType<typeof loadOidc>>['discovery']>>;

type OidcConfiguration = NonNullable<ConsoleConfiguration['identity']['oidc']>;

export interface OidcOptions {
  readonly configuration: OidcConfiguration;
  readonly clientSecret: string | null;
  readonly roles: ConsoleConfiguration['roles'];
  /** Where browsers reach the console, without a path. */
  readonly url: URL;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

/** A login under way, known to the browser that began it by a cookie. */
interface Login {
  readonly verifier: string;
  readonly nonce: string;
  readonly untilMs: number;
}

const LOGIN_MS = 600_000;
const LOGINS_AT_MOST = 1_000;
const SESSIONS_AT_MOST = 10_000;
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/**
 * People log in at an OpenID provider: authorization code with PKCE, state and nonce. Sessions live in this process
 * and end with it; the browser has a random number only.
 */
export class OidcIdentity implements Identity {
  readonly kind = 'oidc';
  readonly #logins = new Map<string, Login>();
  readonly #sessions = new Map<string, Visitor>();
  readonly #sessionCookie: string;
  readonly #loginCookie: string;
  readonly #secure: string;
  #client: Promise<OidcClient> | null = null;

  constructor(private readonly options: OidcOptions) {
    const { url } = options;
    // Cookies do not tell ports of one machine apart.
    this.#sessionCookie = `cutover-session-${url.port || url.protocol.replace(':', '')}`;
    this.#loginCookie = `cutover-login-${url.port || url.protocol.replace(':', '')}`;
    this.#secure = url.protocol === 'https:' ? '; Secure' : '';
  }

  visitorOf(request: IncomingMessage): Visitor | VisitorRefusal {
    const id = cookieOf(request, this.#sessionCookie);
    const visitor = this.#sessions.get(id);
    if (visitor !== undefined && (visitor.untilMs ?? 0) > this.options.now()) return visitor;
    this.#sessions.delete(id);
    return { status: 401, message: 'expected a session: log in first' };
  }

  async answer(request: IncomingMessage, url: URL, response: ServerResponse): Promise<boolean> {
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /login':
        await this.#begin(response);
        return true;
      case 'GET /callback':
        await this.#finish(request, url, response);
        return true;
      case 'POST /api/logout':
        this.#sessions.delete(cookieOf(request, this.#sessionCookie));
        response.setHeader('set-cookie', this.#cookie(this.#sessionCookie, '', '/', 'Strict', 0));
        response.writeHead(204).end();
        return true;
      default:
        return false;
    }
  }

  async #begin(response: ServerResponse): Promise<void> {
    const oidc = await loadOidc();
    const { configuration, now } = this.options;
    let client: OidcClient;
    try {
      client = await this.#discovered();
    } catch (error) {
      return this.#say(response, 503, `The provider ${configuration.issuer} cannot be reached.`, error);
    }
    const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()];
    keep(this.#logins, state, { verifier, nonce, untilMs: now() + LOGIN_MS }, LOGINS_AT_MOST);
    const target = oidc.buildAuthorizationUrl(client, {
      redirect_uri: this.#redirectUrl.href,
      scope: configuration.scope,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    });
    // Lax: the provider's page leads back here, and a strict cookie would stay away.
    const cookie = this.#cookie(this.#loginCookie, state, '/callback', 'Lax', LOGIN_MS);
    response.writeHead(302, { ...PLAIN, 'set-cookie': cookie, location: target.href }).end();
  }

  async #finish(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const state = cookieOf(request, this.#loginCookie);
    const login = this.#logins.get(state);
    this.#logins.delete(state);
    if (login === undefined || login.untilMs < this.options.now()) {
      return this.#say(response, 400, 'This login did not begin here, or took too long.');
    }
    let name: string | null;
    try {
      name = await this.#nameOf(url, state, login);
    } catch (error) {
      return this.#say(response, 401, 'The provider did not confirm the login.', error);
    }
    const { configuration, roles, now } = this.options;
    if (name === null) {
      return this.#say(response, 403, `The provider gave no verified claim "${configuration.claim}".`);
    }
    const visitor = visitorNamed(name, roles, now() + configuration.session);
    if (isRefusal(visitor)) return this.#say(response, 403, `${visitor.message}.`);
    const id = randomBytes(32).toString('base64url');
    keep(this.#sessions, id, visitor, SESSIONS_AT_MOST);
    const cookie = this.#cookie(this.#sessionCookie, id, '/', 'Strict', configuration.session);
    // Not a redirect: a browser counts that as still coming from the provider, and a page of ours is not served there.
    const body = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>Cutover</title>';
    response.writeHead(200, { ...PLAIN, 'content-type': 'text/html; charset=utf-8', 'set-cookie': cookie });
    response.end(body);
  }

  /** The person whom the provider names; null without the claim, or with an address that it did not verify. */
  async #nameOf({ search }: URL, state: string, { verifier, nonce }: Login): Promise<string | null> {
    const oidc = await loadOidc();
    const client = await this.#discovered();
    const tokens = await oidc.authorizationCodeGrant(client, new URL(search, this.#redirectUrl), {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    const { claim } = this.options.configuration;
    const own = tokens.claims();
    if (own === undefined) return null;
    const claims =
      own[claim] === undefined && client.serverMetadata().userinfo_endpoint !== undefined
        ? await oidc.fetchUserInfo(client, tokens.access_token, own.sub)
        : own;
    const name = claims[claim];
    if (claim === 'email' && claims['email_verified'] === false) return null;
    return typeof name === 'string' && name !== '' && name.length <= 200 ? name : null;
  }

  /** What the provider says of itself; asked again after a failure. */
  #discovered(): Promise<OidcClient> {
    if (this.#client === null) {
      const found = this.#discover();
      this.#client = found;
      found.catch(() => {
        this.#client = null;
      });
    }
    return this.#client;
  }

  async #discover(): Promise<OidcClient> {
    const oidc = await loadOidc();
    const { configuration, clientSecret } = this.options;
    const issuer = new URL(configuration.issuer);
    const execute = LOOPBACK.includes(issuer.hostname) ? [oidc.allowInsecureRequests] : [];
    const authentication = clientSecret === null ? oidc.None() : oidc.ClientSecretBasic(clientSecret);
    return oidc.discovery(issuer, configuration.clientId, undefined, authentication, {
      execute,
      timeout: 10,
      [oidc.customFetch]: (url, options) => guardedFetch(url, options as RequestInit),
    });
  }

  get #redirectUrl(): URL {
    return new URL('/callback', this.options.url);
  }

  #cookie(name: string, value: string, path: string, site: 'Lax' | 'Strict', ageMs: number): string {
    const age = Math.floor(ageMs / 1_000);
    return `${name}=${value}; Path=${path}; HttpOnly; SameSite=${site}; Max-Age=${age}${this.#secure}`;
  }

  #say(response: ServerResponse, status: number, message: string, cause?: unknown): void {
    if (cause !== undefined) {
      this.options.warn(`login: ${message} ${cause instanceof Error ? cause.message : String(cause)}`);
    }
    response.writeHead(status, { ...PLAIN, 'content-type': 'text/plain; charset=utf-8' });
    response.end(`${message}\nTo try again, open ${new URL('/login', this.options.url).href}\n`);
  }
}

const PLAIN = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Keeps an entry; the oldest goes where there are too many. */
function keep<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.set(key, value);
  const oldest = map.keys().next().value;
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}
