import { existsSync } from 'node:fs';
import { createGatewayAdmin } from '../adapters/ports';
import { createProviderProbes } from '../adapters/provider-probe';
import {
  cacheDirectory,
  configurationPath,
  environment,
  loadConfiguration,
  resolveSecret,
  UnresolvedSecret,
} from '../config';
import type { Configuration } from '../core/configuration-schema';
import type { Side } from '../core/routing';
import { InvalidDocument } from '../core/schema-parts';
import { portProblem } from '../temporal-server/free-port';
import { inspectTemporal, type TemporalInspection } from '../temporal-server/temporal-inspection';
import { type ConnectionFlags, withClient } from './connection';
import type { Check } from './doctor-check';
import { checkEffects, secretsOf } from './doctor-effects';

const NODE_LEAST = [20, 19] as const;
const PROBE_TIMEOUT_MS = 5_000;
const TEMPORAL_PORTS = [
  ['Temporal', 7233],
  ['the Temporal UI', 8233],
] as const;

/** Looks at everything that a migration needs; changes nothing, and never shows a key. */
export async function examine(flags: ConnectionFlags): Promise<readonly Check[]> {
  const [temporal, ports, configured] = await Promise.all([
    checkTemporal(flags),
    Promise.all(TEMPORAL_PORTS.map(([owner, port]) => checkPort(owner, '127.0.0.1', port))),
    checkConfigured(flags),
  ]);
  return [checkNode(process.versions.node), ...temporal, ...ports, ...configured];
}

function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const ok = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1]);
  const wanted = ok ? '' : `, expected ${NODE_LEAST.join('.')} or newer`;
  return { name: 'Node', state: ok ? 'ok' : 'missing', detail: `${version}${wanted}` };
}

async function checkTemporal(flags: ConnectionFlags): Promise<Check[]> {
  const { address, namespace } = flags;
  const { would, steps } = await inspectTemporal({
    env: {
      ...environment,
      ...(address === undefined ? {} : { TEMPORAL_ADDRESS: address }),
      ...(namespace === undefined ? {} : { TEMPORAL_NAMESPACE: namespace }),
    },
    cacheDir: cacheDirectory(),
  });
  const looked = steps.map(
    ({ step, ok, detail }): Check => ({ name: `- ${step}`, state: ok ? 'ok' : 'note', detail }),
  );
  return [
    { name: 'Temporal', ...sourceText(would) },
    ...looked,
    ...(would.kind === 'address' ? await checkService(flags) : []),
  ];
}

function sourceText(would: TemporalInspection['would']): Pick<Check, 'state' | 'detail'> {
  switch (would.kind) {
    case 'address':
      return { state: 'ok', detail: `${would.address}, namespace ${would.namespace}, by ${would.foundBy}` };
    case 'executable':
      return { state: 'ok', detail: `${would.path}, version ${would.version}, by ${would.foundBy}` };
    case 'make':
      return { state: 'ok', detail: `none here yet: \`cutover up\` gets one by ${would.by}` };
    case 'refuse':
      return { state: 'missing', detail: would.reason };
    default:
      return would satisfies never;
  }
}

async function checkService(flags: ConnectionFlags): Promise<Check[]> {
  const name = 'Temporal answers';
  try {
    return await withClient(flags, async (client): Promise<Check[]> => {
      const { routing, watching, effects } = await client.workers();
      const workers = routing > 0 && watching > 0 ? 'ok' : 'note';
      return [
        { name, state: 'ok', detail: `${client.address}, namespace ${client.namespace}` },
        {
          name: 'workers',
          state: workers,
          detail: `${routing} for routing, ${watching} for watching, ${effects} for effects`,
        },
      ];
    });
  } catch (error) {
    return [{ name, state: 'missing', detail: messageOf(error) }];
  }
}

async function checkConfigured(flags: ConnectionFlags): Promise<Check[]> {
  const path = configurationPath(flags.config);
  const name = 'configuration';
  if (flags.config === undefined && environment['CUTOVER_CONFIG'] === undefined && !existsSync(path)) {
    return [{ name, state: 'note', detail: `there is no ./${path} yet; the demo brings its own` }];
  }
  let configuration: Configuration;
  try {
    configuration = loadConfiguration(path);
  } catch (error) {
    if (!(error instanceof InvalidDocument)) throw error;
    const detail = error.problems.map((problem) => `${problem.path}: ${problem.message}`).join('; ');
    return [{ name, state: 'missing', detail: `${path}: ${detail}` }];
  }
  const [providers, gateways, effects] = await Promise.all([
    checkProviders(configuration),
    checkGateways(configuration),
    checkEffects(configuration),
  ]);
  const routes = Object.keys(configuration.routes).join(', ');
  return [
    { name, state: 'ok', detail: `${path}: routes ${routes}` },
    ...checkKeys(configuration),
    ...providers,
    ...gateways,
    ...effects,
  ];
}

function checkKeys(configuration: Configuration): Check[] {
  const references = new Set([
    configuration.adminToken,
    ...Object.values(configuration.providers).flatMap(({ auth }) =>
      auth === undefined ? [] : ['bearer' in auth ? auth.bearer : auth.key],
    ),
    ...configuration.callers.flatMap(({ keys }) => Object.values(keys)),
    ...Object.values(configuration.effects).flatMap(secretsOf),
  ]);
  return [...references].map((reference): Check => {
    const name = `key ${reference}`;
    try {
      resolveSecret(reference);
      return { name, state: 'ok', detail: 'is set' };
    } catch (error) {
      return { name, state: 'missing', detail: messageOf(error) };
    }
  });
}

async function checkProviders(configuration: Configuration): Promise<Check[]> {
  const probes = createProviderProbes({ configuration, resolveSecret, now: () => performance.now() });
  const sides = Object.entries(configuration.routes).flatMap(([route, { legacy, candidate }]) => [
    { provider: legacy, route, side: 'legacy' as Side },
    { provider: candidate, route, side: 'candidate' as Side },
  ]);
  const once = sides.filter(
    ({ provider }, index) => sides.findIndex((other) => other.provider === provider) === index,
  );
  return Promise.all(
    once.map(async ({ provider, route, side }): Promise<Check> => {
      const name = `provider ${provider}`;
      try {
        const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
        const probe = await probes.probe(route, side, 'models', { timeoutMs: PROBE_TIMEOUT_MS, signal });
        return probe.ok
          ? { name, state: 'ok', detail: `lists ${probe.models?.length ?? 0} models` }
          : { name, state: 'missing', detail: `its list of models: ${probe.error}` };
      } catch (error) {
        return { name, state: 'missing', detail: messageOf(error) };
      }
    }),
  );
}

async function checkGateways(configuration: Configuration): Promise<Check[]> {
  const [route] = Object.keys(configuration.routes);
  let admin: ReturnType<typeof createGatewayAdmin>;
  try {
    admin = createGatewayAdmin(configuration, resolveSecret);
  } catch (error) {
    // The token's own line says so too; without it no gateway can be asked.
    if (error instanceof UnresolvedSecret) return [];
    throw error;
  }
  try {
    const gateways = await admin.discover();
    if (gateways.length === 0 || route === undefined) {
      return [{ name: 'gateways', state: 'missing', detail: 'expected at least one, none is configured' }];
    }
    const answers = await Promise.all(
      gateways.map(async (gateway): Promise<Check> => {
        const name = `gateway ${gateway.name}`;
        const answer = await admin.status(gateway, route);
        if (answer.kind === 'ok') {
          return {
            name,
            state: 'ok',
            detail: `${gateway.admin} answers${answer.value.ready ? '' : ', not ready'}`,
          };
        }
        if (answer.kind === 'refused') {
          return { name, state: 'missing', detail: `${gateway.admin}: ${answer.refusal.error.message}` };
        }
        return { name, ...(await silentGateway(gateway.admin, answer.reason)) };
      }),
    );
    const ports = configuration.gateways.map(({ name, data }) => dataPort(name, data));
    return [...answers, ...(await Promise.all(ports)).filter((check) => check !== null)];
  } catch (error) {
    return [{ name: 'gateways', state: 'missing', detail: `cannot be found: ${messageOf(error)}` }];
  } finally {
    await admin.close();
  }
}

/** A gateway of this machine that does not run yet is nothing to worry about: `cutover up` starts it. */
async function silentGateway(admin: string, reason: string): Promise<Pick<Check, 'state' | 'detail'>> {
  const local = localPort(admin);
  if (local !== null && (await portProblem(local.ip, local.port)) === undefined) {
    return { state: 'note', detail: `does not run yet; port ${local.port} is free` };
  }
  return { state: 'missing', detail: reason };
}

async function dataPort(name: string, data: string): Promise<Check | null> {
  const local = localPort(data);
  return local === null ? null : checkPort(`gateway ${name}`, local.ip, local.port);
}

async function checkPort(owner: string, ip: string, port: number): Promise<Check> {
  const problem = await portProblem(ip, port);
  const name = `port ${port}`;
  if (problem === undefined) return { name, state: 'ok', detail: `free, for ${owner}` };
  const detail = problem === 'EADDRINUSE' ? `in use, by ${owner} or something else` : problem;
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
