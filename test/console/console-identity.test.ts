import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConsoleFeeds } from '../../src/console/server/console-feeds';
import { type RunningConsole, startConsole } from '../../src/console/server/console-server';
import { HeaderIdentity } from '../../src/console/server/header-identity';
import type { ConsoleClient } from '../../src/console/source/console-client';
import { configurationSchema } from '../../src/core/configuration/configuration-schema';
import { freePorts } from '../../src/temporal-server/free-port';
import { launchBrowser } from '../support/browser';
import { built } from '../support/cli';
import { type NodeProcess, startNode } from '../support/node-process';

const ROLES = { operators: ['ana@example.com'], viewers: ['vera@example.com'] };
const COMMAND = { name: 'pause', commandId: 'command-1', label: 'Pause', reason: 'why', payload: {} };

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A request as any program could send it; headers as a list may name one twice. */
function ask(
  url: string | URL,
  options: { method?: string; headers?: Record<string, string | string[]>; body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        // A stream of events has no end.
        if (String(answer.headers['content-type']).startsWith('text/event-stream')) answer.destroy();
      });
      answer.on('close', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('a console behind a proxy that names people', () => {
  const commands: { readonly by: unknown }[] = [];
  let site: RunningConsole;

  async function startSite(trusted: readonly string[]): Promise<RunningConsole> {
    const client = async () =>
      ({
        list: async () => [],
        command: async (_route: string, _name: string, payload: { by: unknown }) => {
          commands.push(payload);
          return { commandId: 'command-1', via: 'signal' };
        },
        status: () => Promise.reject(new Error('no Temporal here')),
      }) as unknown as ConsoleClient;
    const feeds = new ConsoleFeeds({ client, gateways: null, providersOf: () => null, intervalMs: 1_000 });
    return startConsole({
      ...{ client, feeds, files: new Map(), token: 'the token', hosts: [], host: '127.0.0.1', port: 0 },
      by: (name) => `${name} (root@host via ui)`,
      identity: () => new HeaderIdentity('x-forwarded-user', trusted, ROLES),
      loginFailed: () => undefined,
    });
  }
  beforeAll(async () => {
    site = await startSite(['10.1.0.0/16', '::1', '127.0.0.1']);
  });
  afterAll(() => site.stop());
  beforeEach(() => commands.splice(0));

  const pause = (headers: Record<string, string | string[]>, body: object = COMMAND) =>
    ask(new URL('/api/routes/chat/commands', site.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: site.url.slice(0, -1), ...headers },
      body: JSON.stringify(body),
    });

  it('gives commands in the name of an operator, whatever the page sends', async () => {
    expect(await pause({ 'x-forwarded-user': 'ana@example.com' })).toMatchObject({ status: 202 });
    expect(commands).toMatchObject([{ by: 'ana@example.com (root@host via ui)', reason: 'why' }]);
    const claimed = await pause(
      { 'x-forwarded-user': 'ana@example.com' },
      { ...COMMAND, payload: { by: 'somebody else' } },
    );
    expect(claimed.status).toBe(202);
    expect(commands[1]).toMatchObject({ by: 'ana@example.com (root@host via ui)' });
    const field = await pause({ 'x-forwarded-user': 'ana@example.com' }, { ...COMMAND, by: 'x' });
    expect(field.status).toBe(400);
  });

  it('lets a viewer look, refuses the commands of one, and says why', async () => {
    const vera = { 'x-forwarded-user': 'vera@example.com' };
    expect(await ask(new URL('/api/live', site.url), { headers: vera })).toMatchObject({ status: 200 });
    const session = await ask(new URL('/api/session', site.url), { headers: vera });
    expect(JSON.parse(session.text)).toMatchObject({ name: 'vera@example.com', role: 'viewer' });
    const refused = await pause(vera);
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.text).message).toContain('vera@example.com may look but not give commands');
    expect(commands).toEqual([]);
  });

  it.each<[string, Record<string, string | string[]>, number]>([
    ['without a name', {}, 401],
    ['with an empty name', { 'x-forwarded-user': '' }, 401],
    [
      'with two names, of which one could be its own',
      { 'x-forwarded-user': ['vera@example.com', 'ana@example.com'] },
      401,
    ],
    ['with a name that has no role', { 'x-forwarded-user': 'eve@example.com' }, 403],
    ['with a name in other letters', { 'x-forwarded-user': 'ANA@example.com' }, 403],
    ['with bytes that are no text', { 'x-forwarded-user': 'ana\u00e9' }, 401],
  ])('refuses whoever comes %s', async (_, headers, status) => {
    expect(await pause(headers)).toMatchObject({ status });
    expect(await ask(new URL('/api/live', site.url), { headers })).toMatchObject({ status });
    expect(commands).toEqual([]);
  });

  it('has no other way in: the token opens nothing', async () => {
    const opened = await ask(new URL('/api/session', site.url), {
      method: 'POST',
      headers: { origin: site.url.slice(0, -1) },
      body: JSON.stringify({ token: 'the token' }),
    });
    expect(opened.status).toBe(401);
    expect(opened.headers['set-cookie']).toBeUndefined();
  });

  it('refuses every name from an address that is not the proxy', async () => {
    const elsewhere = await startSite(['10.1.0.0/16']);
    try {
      const headers = { 'x-forwarded-user': 'ana@example.com' };
      const answer = await ask(new URL('/api/live', elsewhere.url), { headers });
      expect(answer.status).toBe(403);
      expect(answer.text).toContain('expected a proxy that is trusted, got a connection from 127.0.0.1');
    } finally {
      await elsewhere.stop();
    }
  });

  it('still refuses what other sites make a browser send', async () => {
    const headers = { 'x-forwarded-user': 'ana@example.com' };
    const foreign = { ...headers, origin: 'https://evil.example', 'content-type': 'application/json' };
    const sent = await ask(new URL('/api/routes/chat/commands', site.url), {
      ...{ method: 'POST', headers: foreign, body: JSON.stringify(COMMAND) },
    });
    expect(sent.status).toBe(403);
    const crossSite = { ...headers, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    const live = await ask(new URL('/api/live', site.url), { headers: crossSite });
    expect(live.status).toBe(403);
  });
});

describe('a console where people log in at an OpenID provider', () => {
  let folder: string;
  let provider: NodeProcess;
  let site: NodeProcess;
  let url: URL;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cutover-oidc-'));
    const [port = 0] = await freePorts('127.0.0.1', 1);
    url = new URL(`http://127.0.0.1:${port}/`);
    const script = join(__dirname, '..', 'support', 'providers', 'openid-provider.mjs');
    provider = await startNode([script, new URL('/callback', url).href], {
      ...{ env: {}, cwd: folder, ready: 'issuer ' },
    });
    const issuer = /issuer (\S+)/.exec(provider.output())?.[1];
    writeFileSync(
      join(folder, 'cutover.yaml'),
      JSON.stringify({
        providers: { old: { baseUrl: 'http://127.0.0.1:1/v1' }, new: { baseUrl: 'http://127.0.0.1:2/v1' } },
        routes: { chat: { legacy: 'old', candidate: 'new', models: { m: 'm' } } },
        console: {
          identity: { oidc: { issuer, clientId: 'cutover', clientSecret: 'env:CONSOLE_SECRET' } },
          roles: ROLES,
        },
      }),
    );
    site = await startNode([built('src', 'cli', 'main.js'), 'ui', '--port', String(port), '--json'], {
      env: {
        CONSOLE_SECRET: 'the-secret-of-the-console',
        CUTOVER_ADMIN_TOKEN: 'the-admin-token',
        TEMPORAL_ADDRESS: '127.0.0.1:1',
      },
      cwd: folder,
      ready: '"url"',
    });
  }, 120_000);
  afterAll(async () => {
    await site?.end();
    await provider?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A browser as far as it matters: it keeps cookies and follows redirects and forms. */
  class Visitor {
    readonly cookies = new Map<string, string>();
    readonly set: string[] = [];

    async get(at: URL | string, options: Parameters<typeof ask>[1] = {}): Promise<Answer & { url: URL }> {
      let here = new URL(at);
      for (let hop = 0; hop < 12; hop += 1) {
        const answer = await this.ask(here, hop === 0 ? options : {});
        if (answer.status !== 302 && answer.status !== 303) return { ...answer, url: here };
        here = new URL(String(answer.headers['location']), here);
      }
      throw new Error('expected an end of the redirects');
    }

    async ask(at: URL, options: Parameters<typeof ask>[1] = {}): Promise<Answer> {
      const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const answer = await ask(at, { ...options, headers: { ...options.headers, cookie } });
      for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
        this.set.push(line);
        const [pair = ''] = line.split(';');
        this.cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
      }
      return answer;
    }

    /** Logs in at the provider; what the console answers in the end. */
    async logIn(name: string): Promise<Answer & { url: URL }> {
      let page = await this.get(new URL('/login', url));
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      for (const fields of [{ prompt: 'login', login: name, password: 'any' }, { prompt: 'consent' }]) {
        const action = /action="([^"]+)"/.exec(page.text)?.[1];
        if (action === undefined) return page;
        const body = new URLSearchParams(fields as Record<string, string>).toString();
        page = await this.get(new URL(action, page.url), { method: 'POST', headers: form, body });
      }
      return page;
    }

    session(): Promise<Answer> {
      return this.ask(new URL('/api/session', url));
    }

    pause(): Promise<Answer> {
      return this.ask(new URL('/api/routes/chat/commands', url), {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: url.origin },
        body: JSON.stringify(COMMAND),
      });
    }
  }

  it('shows nobody anything before the login, and prints no token', async () => {
    const stranger = new Visitor();
    const session = await stranger.session();
    expect(session).toMatchObject({ status: 401 });
    expect(JSON.parse(session.text)).toMatchObject({ login: 'oidc' });
    expect(await stranger.ask(new URL('/api/live', url))).toMatchObject({ status: 401 });
    expect(await stranger.pause()).toMatchObject({ status: 401 });
    expect(site.output()).not.toContain('token');
  });

  it('knows an operator by the claim of the provider, in a cookie that scripts and other sites do not get', async () => {
    const ana = new Visitor();
    const page = await ana.logIn('ana@example.com');
    expect({ status: page.status, text: page.text }).toMatchObject({
      status: 200,
      text: expect.stringContaining('url=/'),
    });
    const cookie = ana.set.find((line) => line.startsWith('cutover-session-'));
    expect(cookie).toMatch(/; Path=\/; HttpOnly; SameSite=Strict; Max-Age=28800$/);
    expect(JSON.parse((await ana.session()).text)).toMatchObject({
      name: 'ana@example.com',
      role: 'operator',
      by: expect.stringMatching(/^ana@example\.com \(\S+ via ui\)$/),
    });
    // There is no Temporal: the command was let through as far as that.
    expect(await ana.pause()).toMatchObject({ status: 503 });

    const headers = { origin: url.origin };
    expect(await ana.ask(new URL('/api/logout', url), { method: 'POST', headers })).toMatchObject({
      status: 204,
    });
    ana.cookies.set(cookie?.split('=')[0] ?? '', cookie?.split(/[=;]/)[1] ?? '');
    expect(await ana.session()).toMatchObject({ status: 401 });
  });

  it('lets a viewer look and refuses the commands of one', async () => {
    const vera = new Visitor();
    await vera.logIn('vera@example.com');
    expect(await vera.ask(new URL('/api/live', url))).toMatchObject({ status: 200 });
    expect(await vera.pause()).toMatchObject({ status: 403 });
  });

  it.each([
    ['who has no role', 'eve@example.com', 'eve@example.com is neither an operator nor a viewer'],
    ['whose address was not verified', 'unverified@example.com', 'no verified claim "email"'],
  ])('refuses somebody %s', async (_, name, sentence) => {
    const visitor = new Visitor();
    expect(await visitor.logIn(name)).toMatchObject({ status: 403, text: expect.stringContaining(sentence) });
    expect(await visitor.session()).toMatchObject({ status: 401 });
  });

  it('leads a real browser to the login and back to the page', async () => {
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(url.href);
      await page.locator('input[name=login]').fill('vera@example.com');
      await page.locator('input[name=password]').fill('any');
      await page.locator('button[type=submit]').click();
      await page.locator('button[type=submit]').click();
      await page.getByText('vera@example.com, viewer', { exact: true }).waitFor();
      expect(new URL(page.url()).origin).toBe(url.origin);
      await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
      const readable = await page.evaluate('document.cookie');
      expect(readable).toBe('');
    } finally {
      await browser.close();
    }
  }, 300_000);

  it('takes no answer to a login that another browser began, nor one twice', async () => {
    const ana = new Visitor();
    const begun = await ana.ask(new URL('/login', url));
    const state = new URL(String(begun.headers['location'])).searchParams.get('state');
    const victim = new Visitor();
    const forged = new URL(`/callback?code=stolen&state=${state}`, url);
    expect(await victim.ask(forged)).toMatchObject({ status: 400 });
    expect(await ana.ask(forged)).toMatchObject({ status: 401 });
    expect(await ana.ask(forged)).toMatchObject({ status: 400 });
    expect(site.output()).not.toContain('the-secret-of-the-console');
  });

  it('asks with a code challenge and a nonce, and refuses another state', async () => {
    const ana = new Visitor();
    const begun = await ana.ask(new URL('/login', url));
    const { searchParams } = new URL(String(begun.headers['location']));
    expect(searchParams.get('code_challenge_method')).toBe('S256');
    expect(searchParams.get('nonce')).toMatch(/.{20}/);
    expect(ana.set[0]).toMatch(/^cutover-login-.*; Path=\/callback; HttpOnly; SameSite=Lax; Max-Age=600$/);
    const other = await ana.ask(new URL('/callback?code=x&state=other', url));
    expect(other.status).toBe(401);
  });
});

describe('the configuration of the console', () => {
  const identity = { header: 'x-forwarded-user', trusted: ['127.0.0.1'] };
  const oidc = { issuer: 'https://id.example.com', clientId: 'cutover' };
  it.each<[string, object, string]>([
    ['both ways', { identity: { ...identity, oidc }, roles: ROLES }, 'expected header with trusted, or oidc'],
    ['no way', { identity: {}, roles: ROLES }, 'expected header with trusted, or oidc'],
    ['a header from anybody', { identity: { header: 'x-user' }, roles: ROLES }, 'expected the addresses'],
    [
      'a name for an address',
      { identity: { ...identity, trusted: ['proxy'] }, roles: ROLES },
      'expected an IP address or a range',
    ],
    [
      'a secret in the open',
      { identity: { oidc: { ...oidc, clientSecret: 's' } }, roles: ROLES },
      'expected',
    ],
    ['nobody', { identity, roles: {} }, 'expected at least one operator or viewer'],
  ])('is refused with %s', (_, console, sentence) => {
    const read = configurationSchema.safeParse({
      providers: { old: { baseUrl: 'http://127.0.0.1:1/v1' }, new: { baseUrl: 'http://127.0.0.1:2/v1' } },
      routes: { chat: { legacy: 'old', candidate: 'new' } },
      console,
    });
    expect(JSON.stringify(read.error?.issues)).toContain(sentence);
  });
});
