import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { cacheDirectory } from '../../src/config';
import { MODEL, PLAIN_ANSWER } from './answers';
import { goProgram } from './go-program';
import { type Started, startPinned, untilAnswers } from './pinned-process';

/** What is measured: a way to split one path between two providers at 50%. */
export interface Subject {
  readonly name: string;
  readonly pid: number;
  /** Where chat completions go; by provider kind, since plain and streamed answers come from different ones. */
  readonly url: Readonly<Record<ProviderKind, string>>;
  readonly headers: Readonly<Record<ProviderKind, Readonly<Record<string, string>>>>;
}

export type ProviderKind = 'plain' | 'stream';

/** Two providers a kind: legacy and candidate. */
export type ProviderPorts = Readonly<Record<ProviderKind, readonly [legacy: number, candidate: number]>>;

const NO_HEADERS = { plain: {}, stream: {} };
const PORTKEY = '@portkey-ai/gateway@1.15.2';
/** Portkey asks for ^1.3.3; under 1.19 its streams fail with "immutable", which would flatter us. */
const PORTKEY_PACKAGE = { private: true, overrides: { '@hono/node-server': '1.13.2' } };

/** nginx as the provider of plain answers, on core 1. */
export async function startPlainProviders(
  folder: string,
  ports: readonly [number, number],
): Promise<Started> {
  const servers = ports.map(
    (port) => `server { listen 127.0.0.1:${port} backlog=1024;
    location / { default_type application/json; return 200 '${PLAIN_ANSWER}'; } }`,
  );
  return startNginx(join(folder, 'plain'), 1, servers.join('\n'), ports[0]);
}

/** nginx with split_clients: the practical limit. */
export async function startNginxSubject(
  folder: string,
  ports: Readonly<Record<ProviderKind, number>>,
  providers: ProviderPorts,
): Promise<{ subject: Subject; started: Started }> {
  const parts = (['plain', 'stream'] as const).map((kind) => {
    const [legacy, candidate] = providers[kind];
    const upstream = (provider: string, port: number) =>
      `upstream ${kind}_${provider} { server 127.0.0.1:${port}; keepalive 128; keepalive_requests 1000000000; }`;
    return `${upstream('legacy', legacy)}
      ${upstream('candidate', candidate)}
      split_clients $request_id $${kind}_arm { 50% ${kind}_candidate; * ${kind}_legacy; }
      server { listen 127.0.0.1:${ports[kind]} backlog=1024;
        location / { proxy_pass http://$${kind}_arm; proxy_http_version 1.1; proxy_set_header connection ""; proxy_request_buffering off;
          proxy_buffering ${kind === 'plain' ? 'on' : 'off'}; } }`;
  });
  const started = await startNginx(join(folder, 'subject'), 0, parts.join('\n'), ports.plain);
  const url = (kind: ProviderKind) => `http://127.0.0.1:${ports[kind]}/v1/chat/completions`;
  const urls = { plain: url('plain'), stream: url('stream') };
  return { subject: { name: 'nginx', pid: started.pid, url: urls, headers: NO_HEADERS }, started };
}

async function startNginx(folder: string, core: number, servers: string, port: number): Promise<Started> {
  mkdirSync(join(folder, 'logs'), { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
    events { worker_connections 8192; }
    http { access_log ${folder}/access.log combined buffer=64k flush=1s; keepalive_requests 1000000000; keepalive_timeout 600s;
      client_max_body_size 0; client_body_buffer_size 64k; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      ${servers} }`,
  );
  const started = startPinned(core, 'nginx', ['-p', folder, '-c', file]);
  await untilAnswers(`http://127.0.0.1:${port}/`);
  return started;
}

type StartProgram = (
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
) => Started;

/** This gateway at share 50%, with its request log and evidence as in production. */
export async function startOwnSubject(
  folder: string,
  ports: { readonly data: number; readonly admin: number },
  providers: ProviderPorts,
  nodeFlags: readonly string[],
  {
    settings = {},
    start = (command, args, env) => startPinned(0, command, args, env),
  }: { readonly settings?: object; readonly start?: StartProgram } = {},
): Promise<{ subject: Subject; started: Started }> {
  const base = (port: number) => ({ baseUrl: `http://127.0.0.1:${port}/v1` });
  const routes = Object.fromEntries(
    (['plain', 'stream'] as const).map((kind) => [
      kind,
      { legacy: `${kind}-legacy`, candidate: `${kind}-candidate`, models: { [MODEL]: 'gpt-4o-fp8' } },
    ]),
  );
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'cutover.yaml');
  writeFileSync(
    file,
    stringify({
      providers: Object.fromEntries(
        (['plain', 'stream'] as const).flatMap((kind) => [
          [`${kind}-legacy`, base(providers[kind][0])],
          [`${kind}-candidate`, { ...base(providers[kind][1]), maxConcurrent: 4096, maxConnections: 2048 }],
        ]),
      ),
      routes,
      gateway: { stateDirectory: join(folder, 'state'), ...settings },
    }),
  );
  const main = join(__dirname, '..', '..', 'src', 'cli', 'main.js');
  const addresses = ['--data', `127.0.0.1:${ports.data}`, '--admin', `127.0.0.1:${ports.admin}`];
  const started = start(
    process.execPath,
    [...nodeFlags, main, 'gateway', '--config', file, ...addresses, '--log', join(folder, 'requests.log')],
    { CUTOVER_ADMIN_TOKEN: 'bench' },
  );
  await untilAnswers(`http://127.0.0.1:${ports.data}/healthz`);
  await untilAnswers(`http://127.0.0.1:${ports.admin}/healthz`);
  for (const route of ['plain', 'stream']) await splitInHalf(`http://127.0.0.1:${ports.admin}`, route);
  const url = (kind: ProviderKind) => `http://127.0.0.1:${ports.data}/routes/${kind}/v1/chat/completions`;
  const urls = { plain: url('plain'), stream: url('stream') };
  return { subject: { name: 'cutover', pid: started.pid, url: urls, headers: NO_HEADERS }, started };
}

/** Pushes a pinned record with share 0.5 to a route of the gateway with this admin address. */
export async function splitInHalf(admin: string, route: string): Promise<void> {
  const address = `${admin}/admin/v1/routes/${route}`;
  const headers = { authorization: 'Bearer bench', 'content-type': 'application/json' };
  const status = (await (await fetch(address, { headers })).json()) as {
    incarnation: string;
    asOfMs: number;
  };
  const record = {
    migrationId: 'bench',
    stage: 'rolling',
    epoch: 1,
    share: 0.5,
    salt: 'bench',
    stickyKey: 'body',
    leaseMs: 45_000,
    pinned: true,
    newConversationsOnly: false,
    shadow: 0,
  };
  const body = JSON.stringify({
    expected: { incarnation: status.incarnation, epoch: 0 },
    asOfMs: status.asOfMs,
    record,
    inFlight: 'drain',
  });
  const answer = await fetch(address, { method: 'PUT', headers, body });
  if (!answer.ok) throw new Error(`expected the gateway to take the record, got ${await answer.text()}`);
}

/** A reverse proxy of Go's standard library: what a gateway in a compiled language costs without ours. */
export async function startGoSubject(
  ports: Readonly<Record<ProviderKind, number>>,
  providers: ProviderPorts,
): Promise<{ subject: Subject; started: Started }> {
  const { plain, stream } = providers;
  const args = [ports.plain, ...plain, ports.stream, ...stream].map(String);
  const started = startPinned(0, goProgram('reverse-proxy'), args);
  await untilAnswers(`http://127.0.0.1:${ports.plain}/`);
  const url = (kind: ProviderKind) => `http://127.0.0.1:${ports[kind]}/v1/chat/completions`;
  const urls = { plain: url('plain'), stream: url('stream') };
  return { subject: { name: 'go', pid: started.pid, url: urls, headers: NO_HEADERS }, started };
}

/** The provider of plain answers itself, without anything in between; its process is none of ours to measure. */
export function directSubject(providers: ProviderPorts): Subject {
  const url = (kind: ProviderKind) => `http://127.0.0.1:${providers[kind][0]}/v1/chat/completions`;
  const urls = { plain: url('plain'), stream: url('stream') };
  return { name: 'direct', pid: process.pid, url: urls, headers: NO_HEADERS };
}

/** Portkey's open-source gateway, installed into the cache. */
export async function startPortkeySubject(
  port: number,
  providers: ProviderPorts,
): Promise<{ subject: Subject; started: Started }> {
  const folder = join(cacheDirectory(), 'bench-portkey-1.15.2');
  const main = join(folder, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js');
  if (!existsSync(main)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify(PORTKEY_PACKAGE));
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', PORTKEY], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  const started = startPinned(0, process.execPath, [main, `--port=${port}`, '--headless'], {
    NODE_ENV: 'production',
  });
  await untilAnswers(`http://127.0.0.1:${port}/`);
  const headers = (kind: ProviderKind) => ({
    authorization: 'Bearer bench',
    'x-portkey-config': JSON.stringify({
      strategy: { mode: 'loadbalance' },
      targets: providers[kind].map((target) => ({
        provider: 'openai',
        api_key: 'bench',
        weight: 0.5,
        custom_host: `http://127.0.0.1:${target}/v1`,
      })),
    }),
  });
  const url = `http://127.0.0.1:${port}/v1/chat/completions`;
  const subject = {
    name: 'portkey',
    pid: started.pid,
    url: { plain: url, stream: url },
    headers: { plain: headers('plain'), stream: headers('stream') },
  };
  return { subject, started };
}
