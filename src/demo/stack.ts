import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGatewayAdmin } from '../adapters/create-gateway-admin';
import type { GatewayAdmin } from '../adapters/gateway-admin';
import { enrolModel } from '../adapters/identity-enrolment';
import { askableModel } from '../adapters/identity-files';
import { MigrationClient } from '../client';
import { cacheDirectory, environment } from '../config';
import { SEARCH_ATTRIBUTES } from '../contract';
import { referenceFile } from '../core/identity/identity-reference-schema';
import { type RunningGateway, startGatewayServer } from '../gateway/main';
import { startTemporalServer } from '../temporal-server/dev-server';
import { freePorts } from '../temporal-server/free-port';
import { findTemporal } from '../temporal-server/temporal-source';
import { startWorker } from '../worker';
import { SOLD_MODEL } from './demo-model';
import { type DemoAddresses, demoConfiguration } from './documents';
import { makeTinyModel, sampleOf, trainDemoModel } from './fine-tuned';
import { type LoadThread, startLoadThread } from './load-thread';
import { type DemoProvider, startProvider } from './provider';

/** Everything that the demo runs: real parts on loopback. */
export interface DemoStack {
  readonly client: MigrationClient;
  /** The operator's way to the gateways, for who only looks. */
  readonly admin: GatewayAdmin;
  readonly addresses: DemoAddresses;
  readonly uiUrl: string | undefined;
  readonly legacy: DemoProvider;
  readonly candidate: DemoProvider;
  /** Of the model that the demo has fine-tuned and the candidate serves; null in other scenarios. */
  readonly digest: string | null;
  readonly load: LoadThread;
  /** Serves one model at both providers, asks legacy for it, and returns the file of that reference. */
  enrol(): Promise<string>;
  /** What an operator does after the migration: every gateway gets the configuration that says settled: candidate. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

/** Few: a demo takes seconds. */
const ENROLMENT = { samples: 20, concurrency: 32, timeoutMs: 10_000, declared: null } as const;

const RATE_PER_SECOND = 100;
/** What a model on this machine answers besides everything else. */
const TUNED_RATE_PER_SECOND = 20;
/** How long a load balancer takes to forget a replica. */
const LEAVE_MS = 1_000;
/** Short answers: the demo shows routing, not generation. */
const BEHAVIOUR = { tokens: 8, tokenMs: 8 };

/**
 * Starts providers, gateways, Temporal, worker and load; whatever fails, what was started is stopped again. Once
 * `interrupted` is aborted nothing more is started.
 */
export async function startDemoStack(
  { fineTunes }: { readonly fineTunes: boolean },
  report: (line: string) => void,
  interrupted: AbortSignal,
): Promise<DemoStack> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const stopOne of stops.splice(0).reverse()) await stopOne();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'cutover-demo-'));
    stops.push(async () => rmSync(folder, { recursive: true, force: true }));
    const training = join(folder, 'training');
    if (fineTunes) await makeTinyModel(training);
    const temporal = await startTemporal(folder, report, interrupted);
    stops.push(temporal.stop);
    interrupted.throwIfAborted();
    const fineTuned = fineTunes
      ? await trainDemoModel(training, temporal, { say: report, interrupted })
      : null;
    if (fineTuned !== null) {
      stops.push(() => fineTuned.model.stop());
      report(`the candidate serves what was exported: ${fineTuned.model.digest}`);
      report(`  ${await sampleOf(fineTuned)}`);
    }
    interrupted.throwIfAborted();

    const keys = { LEGACY_KEY: randomKey(), CANDIDATE_KEY: randomKey(), CUTOVER_ADMIN_TOKEN: randomKey() };
    const resolveSecret = (reference: string) => keys[reference.replace('env:', '') as keyof typeof keys];
    const legacy = await startProvider({
      name: 'legacy',
      models: ['large-chat'],
      key: keys.LEGACY_KEY,
      behaviour: fineTuned === null ? BEHAVIOUR : { tokens: 16, tokenMs: 8 },
    });
    stops.push(legacy.stop);
    const candidate = await startProvider({
      name: 'candidate',
      models: ['large-chat-fp8'],
      key: keys.CANDIDATE_KEY,
      behaviour: fineTuned === null ? BEHAVIOUR : { digests: { 'large-chat-fp8': fineTuned.model.digest } },
      ...(fineTuned === null ? {} : { served: fineTuned.model }),
    });
    stops.push(candidate.stop);

    const addresses = await demoAddresses(legacy, candidate);
    const running = new Map<string, RunningGateway>();
    const startOne = async (name: string, settled: 'legacy' | 'candidate'): Promise<void> => {
      interrupted.throwIfAborted();
      const configuration = demoConfiguration(addresses, settled, join(folder, name));
      const gateway = await startGatewayServer({ configuration, name, resolveSecret, log: 'none' });
      running.set(name, gateway);
      // Everything may have been stopped meanwhile.
      if (interrupted.aborted) await gateway.stop();
    };
    for (const { name } of addresses.gateways) await startOne(name, 'legacy');
    stops.push(async () => {
      await Promise.all([...running.values()].map((gateway) => gateway.stop()));
    });

    const worker = await startWorker({
      connection: { address: temporal.address },
      namespace: temporal.namespace,
      configuration: demoConfiguration(addresses, 'legacy', folder),
      resolveSecret,
    });
    stops.push(worker.stop);
    const client = await MigrationClient.connect({
      address: temporal.address,
      namespace: temporal.namespace,
    });
    stops.push(async () => client.close());
    const admin = createGatewayAdmin(demoConfiguration(addresses, 'legacy', folder), resolveSecret);
    stops.push(() => admin.close());
    const data = addresses.gateways.map((gateway) => gateway.data);
    const load = await startLoadThread({
      gateways: data,
      ratePerSecond: fineTuned === null ? RATE_PER_SECOND : TUNED_RATE_PER_SECOND,
      model: 'large-chat',
      candidate: 'candidate-llm',
      ...(fineTuned === null ? {} : { questions: fineTuned.questions }),
    });
    stops.push(load.stop);

    const settle = async (): Promise<void> => {
      // As behind a load balancer: one replica at a time leaves the list, is started anew, and comes back.
      for (const { name, data: own } of addresses.gateways) {
        load.use(data.filter((other) => other !== own));
        await sleep(LEAVE_MS);
        await running.get(name)?.stop();
        await startOne(name, 'candidate');
        load.use(data);
      }
    };
    const enrol = async (): Promise<string> => {
      Object.assign(legacy.behaviour, { model: SOLD_MODEL });
      Object.assign(candidate.behaviour, { model: SOLD_MODEL });
      const configuration = demoConfiguration(addresses, 'legacy', folder);
      const original = { provider: 'legacy-llm', model: 'large-chat' };
      const reference = await enrolModel(askableModel({ configuration, resolveSecret }, original), {
        ...ENROLMENT,
        now: new Date(),
        signal: interrupted,
        progress: () => undefined,
      });
      const file = join(folder, 'identity.json');
      writeFileSync(file, referenceFile(reference));
      return file;
    };
    const digest = fineTuned?.model.digest ?? null;
    const { uiUrl } = temporal;
    return { client, admin, addresses, uiUrl, legacy, candidate, digest, load, enrol, settle, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startTemporal(folder: string, report: (line: string) => void, signal: AbortSignal) {
  const source = await findTemporal({ env: environment, cacheDir: cacheDirectory(), report, signal });
  if (source.kind === 'address') {
    const { address, namespace } = source;
    report(`Temporal: ${address}, namespace ${namespace} (configured)`);
    return { address, namespace, uiUrl: undefined, stop: async () => {} };
  }
  report(`Temporal: ${source.path} ${source.version} (${source.foundBy})`);
  return startTemporalServer({
    executable: source.path,
    searchAttributes: SEARCH_ATTRIBUTES,
    dbFilename: join(folder, 'temporal.db'),
  });
}

async function demoAddresses(legacy: DemoProvider, candidate: DemoProvider): Promise<DemoAddresses> {
  const ports = await freePorts('127.0.0.1', 4);
  const gateway = (name: string, data: number | undefined, admin: number | undefined) => ({
    name,
    data: `http://127.0.0.1:${data}`,
    admin: `http://127.0.0.1:${admin}`,
  });
  return {
    legacyUrl: legacy.url,
    candidateUrl: candidate.url,
    gateways: [gateway('gw-1', ports[0], ports[1]), gateway('gw-2', ports[2], ports[3])],
  };
}

function randomKey(): string {
  return randomBytes(24).toString('hex');
}
