import { existsSync } from 'node:fs';
import type { Pollers } from '../../client/temporal-service';
import {
  cacheDirectory,
  configurationPath,
  environment,
  loadConfiguration,
  resolveSecret,
  secretResolver,
} from '../../config';
import { BadInput } from '../../core/configuration/bad-input';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { keyReferencesOf } from '../../core/configuration/provider-schema';
import { InvalidDocument, problemText } from '../../core/configuration/schema-parts';
import type { MigrationStatus } from '../../core/migration/status';
import { contradiction, type GatewayWord, servingText } from '../../core/routing/gateway-status-text';
import { servingForMs } from '../../core/routing/routing';
import { portProblem } from '../../temporal-server/free-port';
import { portHolder } from '../../temporal-server/port-holder';
import { inspectTemporal, type TemporalInspection } from '../../temporal-server/temporal-inspection';
import { readGateways, UNWRITABLE_FIX } from '../operate/gateway-answers';
import { type ConnectionFlags, withClient } from '../options/connection';
import { checkBuilds } from './doctor-builds';
import type { Check } from './doctor-check';
import { checkEffects, secretsOf } from './doctor-effects';
import { checkProviders } from './doctor-providers';

const NODE_LEAST = [20, 19] as const;
const STATUS_WAIT_MS = 3_000;
/** A gateway without a record waits a minute for one before it is ready. */
const STARTS_WITHIN_MS = 65_000;
const TEMPORAL_PORTS = [
  ['Temporal', 7233],
  ['the Temporal UI', 8233],
] as const;

/** Looks at everything that a migration needs; changes nothing, and never shows a key. */
export async function examine(flags: ConnectionFlags): Promise<readonly Check[]> {
  const inspected = await inspect(flags);
  const [temporal, ports, configured] = await Promise.all([
    checkTemporal(flags, inspected),
    Promise.all(TEMPORAL_PORTS.map(([owner, port]) => checkPort(owner, '127.0.0.1', port))),
    checkConfigured(flags),
  ]);
  return [checkNode(process.versions.node), ...temporal, ...ports, ...configured];
}

function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const ok = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1]);
  const least = NODE_LEAST.join('.');
  if (ok) return { name: 'Node', state: 'ok', detail: version };
  return {
    name: 'Node',
    state: 'wrong',
    detail: `${version}, expected ${least} or newer`,
    fix: 'install a newer Node',
  };
}

function inspect({ address, namespace }: ConnectionFlags): Promise<TemporalInspection> {
  return inspectTemporal({
    env: {
      ...environment,
      ...(address === undefined ? {} : { TEMPORAL_ADDRESS: address }),
      ...(namespace === undefined ? {} : { TEMPORAL_NAMESPACE: namespace }),
    },
    cacheDir: cacheDirectory(),
  });
}

async function checkTemporal(flags: ConnectionFlags, { would, steps }: TemporalInspection): Promise<Check[]> {
  const looked = steps.map(
    ({ step, ok, detail }): Check => ({ name: `- ${step}`, state: ok ? 'ok' : 'note', detail }),
  );
  return [
    { name: 'Temporal', ...sourceText(would) },
    ...looked,
    ...(would.kind === 'refuse' ? [] : await checkService(flags)),
  ];
}

function sourceText(would: TemporalInspection['would']): Omit<Check, 'name'> {
  switch (would.kind) {
    case 'address':
      return { state: 'ok', detail: `${would.address}, namespace ${would.namespace}, by ${would.foundBy}` };
    case 'executable':
      return { state: 'ok', detail: `${would.path}, version ${would.version}, by ${would.foundBy}` };
    case 'make':
      return { state: 'ok', detail: `none here yet: \`cutover up\` gets one by ${would.by}` };
    case 'refuse':
      return { state: 'wrong', detail: would.reason, fix: 'correct the TEMPORAL_* variables or the profile' };
    default:
      return would satisfies never;
  }
}

/** Where no address is given, the commands use 127.0.0.1:7233: that is what is asked then. */
async function checkService(flags: ConnectionFlags): Promise<Check[]> {
  const name = 'Temporal answers';
  try {
    return await withClient(flags, async (client): Promise<Check[]> => {
      const { routing, watching, effects } = await client.workers();
      const workers = routing.alive > 0 && watching.alive > 0 ? 'ok' : 'missing';
      return [
        { name, state: 'ok', detail: `${client.address}, namespace ${client.namespace}` },
        {
          name: 'workers',
          state: workers,
          detail: [
            `${pollersText(routing)} for routing`,
            `${pollersText(watching)} for watching`,
            `${pollersText(effects)} for effects`,
          ].join(', '),
          ...(workers === 'ok' ? {} : { fix: 'start one: `cutover worker`, or `cutover up` on one machine' }),
        },
        ...(await checkBuilds(client)),
      ];
    });
  } catch (error) {
    if (error instanceof Error && (error.name === 'EncodedPayloads' || error.name === 'CodecFailed')) {
      const fix = 'give this program the data converter and the keys that the workers have';
      return [{ name: 'data converter', state: 'missing', detail: error.message, fix }];
    }
    const fix = 'start it: `cutover up` on one machine; else name yours by TEMPORAL_ADDRESS or --address';
    return [{ name, state: 'missing', detail: messageOf(error), fix }];
  }
}

/** A worker that ended a moment ago still counts: how old the newest poll is says how far that can be believed. */
function pollersText({ alive, silent, lastPollMs }: Pollers): string {
  const age = lastPollMs === null ? null : `last poll ${Math.round(lastPollMs / 1_000)} s ago`;
  const gone = silent === 0 ? null : `${silent} that no longer polls`;
  const notes = [age, gone].filter((note) => note !== null);
  return `${alive}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
}

async function checkConfigured(flags: ConnectionFlags): Promise<Check[]> {
  const path = configurationPath(flags.config);
  const name = 'configuration';
  if (flags.config === undefined && environment['CUTOVER_CONFIG'] === undefined && !existsSync(path)) {
    const fix = '`cutover init` writes one; `cutover demo` brings its own';
    return [{ name, state: 'missing', detail: `there is no ./${path}`, fix }];
  }
  let configuration: Configuration;
  try {
    configuration = loadConfiguration(path);
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    if (!(error instanceof InvalidDocument)) {
      const isThere = existsSync(path);
      const fix = isThere ? fixOfUnread(path, error) : '`cutover init` writes one';
      return [{ name, state: isThere ? 'wrong' : 'missing', detail: error.message, fix }];
    }
    const detail = error.problems.map(problemText).join('; ');
    return [{ name, state: 'wrong', detail: `${path}: ${detail}`, fix: `correct ${path}` }];
  }
  const routes = Object.keys(configuration.routes);
  const verified = lastVerified(flags, routes);
  const [providers, gateways, effects] = await Promise.all([
    checkProviders(configuration),
    checkGateways(configuration, verified),
    checkEffects(configuration),
  ]);
  return [
    { name, state: 'ok', detail: `${path}: routes ${routes.join(', ')}` },
    ...checkKeys(configuration),
    ...providers,
    ...gateways,
    ...effects,
  ];
}

function fixOfUnread(path: string, { message }: BadInput): string {
  if (message.includes(' is empty:')) return `remove ${path}, then \`cutover init\` writes one`;
  return `make ${path} a file that this user can read`;
}

function checkKeys(configuration: Configuration): Check[] {
  const { outcomes } = configuration.gateway;
  const references = new Set([
    configuration.adminToken,
    ...Object.values(configuration.providers).flatMap(({ auth }) =>
      auth === undefined ? [] : keyReferencesOf(auth),
    ),
    ...configuration.callers.flatMap(({ keys }) => Object.values(keys)),
    ...(outcomes === undefined ? [] : [outcomes.key, ...outcomes.oldKeys]),
    ...Object.values(configuration.effects).flatMap(secretsOf),
  ]);
  const resolve = secretResolver(configuration);
  return [...references].map((reference): Check => {
    const name = `key ${reference}`;
    try {
      resolve(reference);
      return { name, state: 'ok', detail: 'is set' };
    } catch (error) {
      return { name, state: 'missing', detail: messageOf(error), fix: fixOfSecret(reference) };
    }
  });
}

function fixOfSecret(reference: string): string {
  const place = reference.slice(reference.indexOf(':') + 1);
  if (reference.startsWith('credential:'))
    return `run the command of credentials.${place} by hand to see why`;
  return reference.startsWith('env:') ? `export ${place}=...` : `put the key into ${place}`;
}

type StatusByRoute = ReadonlyMap<string, MigrationStatus>;

/** Where the migrations of these routes stand, as far as they can be asked. */
async function lastVerified(flags: ConnectionFlags, routes: readonly string[]): Promise<StatusByRoute> {
  const found = new Map<string, MigrationStatus>();
  await withClient(flags, (client) =>
    Promise.allSettled(
      routes.map(async (route) =>
        found.set(route, await client.status(route, { workerWaitMs: STATUS_WAIT_MS })),
      ),
    ),
  ).catch(() => undefined);
  return found;
}

async function checkGateways(configuration: Configuration, asked: Promise<StatusByRoute>): Promise<Check[]> {
  const routes = Object.keys(configuration.routes);
  const answers = await Promise.all(routes.map((route) => readGateways(configuration, route)));
  const [first] = answers;
  // The token's own line says that it is missing; without it no gateway can be asked.
  if (first === undefined || first.problem !== null) {
    return isTokenSet(configuration)
      ? [
          {
            name: 'gateways',
            state: 'missing',
            detail: first?.problem ?? 'there is no route',
            fix: 'look at `gateways` and `gatewayDiscovery` in the configuration',
          },
        ]
      : [];
  }
  if (first.gateways.length === 0) {
    const fix = 'add one under `gateways`, or set `gatewayDiscovery`';
    return [{ name: 'gateways', state: 'missing', detail: 'expected at least one, none is configured', fix }];
  }
  const verified = await asked;
  const checks = first.gateways.map(async ({ name, admin, answer }, index): Promise<Check> => {
    if (answer.kind === 'unreachable') {
      return { name: `gateway ${name}`, ...(await silentGateway(name, admin, answer.reason)) };
    }
    if (answer.kind === 'refused') {
      const { code, message } = answer.refusal.error;
      const fix =
        code === 'unauthorized'
          ? `give it and this machine the same ${configuration.adminToken}`
          : 'restart it with this configuration';
      return { name: `gateway ${name}`, state: 'wrong', detail: `${admin}: ${code}: ${message}`, fix };
    }
    const served = routes.map((route, at) =>
      servedText(route, answers[at]?.gateways[index]?.answer, verified),
    );
    const { gateway: reported, ready, durable } = answer.value;
    const isAnother = reported !== '' && reported !== name;
    const isStarting = !ready && servingForMs(answer.value) < STARTS_WITHIN_MS;
    const isStuck = !ready && !isStarting;
    // It serves, and refuses every raise.
    const isForgetful = durable === false;
    const unready =
      'ask again in a minute; if it is still not ready, none of its processes serves requests: look at its log and restart it';
    return {
      name: `gateway ${name}`,
      state:
        isStuck || isForgetful
          ? 'wrong'
          : isStarting || isAnother || served.some(({ differs }) => differs)
            ? 'note'
            : 'ok',
      ...(isStuck ? { fix: unready } : isForgetful ? { fix: UNWRITABLE_FIX } : {}),
      detail: [
        `${admin} answers${ready ? '' : isStarting ? ', not ready yet: started less than a minute ago' : ', not ready'}`,
        ...(isAnother ? [`it calls itself "${reported}": start it with --name ${name}`] : []),
        ...served.map(({ text }) => text),
      ].join('; '),
    };
  });
  const ports = configuration.gateways.map(({ name, data }) => dataPort(name, data));
  return [...(await Promise.all(checks)), ...(await Promise.all(ports)).filter((check) => check !== null)];
}

function servedText(
  route: string,
  answer: GatewayWord | undefined,
  verified: StatusByRoute,
): { readonly text: string; readonly differs: boolean } {
  if (answer === undefined) return { text: `${route} not known`, differs: false };
  const status = verified.get(route);
  const differs = status === undefined || answer.kind !== 'ok' ? null : contradiction(status, answer.value);
  const text = `${route} ${servingText(answer)}${differs === null ? '' : `, but ${differs}`}`;
  return { text, differs: differs !== null };
}

function isTokenSet({ adminToken }: Configuration): boolean {
  try {
    resolveSecret(adminToken);
    return true;
  } catch {
    return false;
  }
}

async function silentGateway(gateway: string, admin: string, reason: string): Promise<Omit<Check, 'name'>> {
  const local = localPort(admin);
  if (local !== null && (await portProblem(local.ip, local.port)) === undefined) {
    const fix = `start it: \`cutover gateway --name ${gateway}\`, or \`cutover up\` on one machine`;
    return { state: 'missing', detail: `does not run; port ${local.port} is free`, fix };
  }
  const fix = `start it, or make ${admin} reachable from here`;
  return { state: 'missing', detail: reason, fix };
}

async function dataPort(name: string, data: string): Promise<Check | null> {
  const local = localPort(data);
  return local === null ? null : checkPort(`gateway ${name}`, local.ip, local.port);
}

async function checkPort(owner: string, ip: string, port: number): Promise<Check> {
  const problem = await portProblem(ip, port);
  const name = `port ${port}`;
  if (problem === undefined) return { name, state: 'ok', detail: `free, for ${owner}` };
  const holder = portHolder(port) ?? `${owner}, or something else`;
  const detail = problem === 'EADDRINUSE' ? `in use by ${holder}` : problem;
  return { name, state: 'note', detail };
}

function localPort(address: string): { ip: string; port: number } | null {
  const { hostname, port, protocol } = new URL(address);
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) return null;
  const ip = hostname === '[::1]' ? '::1' : '127.0.0.1';
  return { ip, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
