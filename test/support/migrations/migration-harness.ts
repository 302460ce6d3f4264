import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection, type WorkflowClient, type WorkflowHandle } from '@temporalio/client';
import { GatewayAdmin } from '../../../src/adapters/gateway-admin';
import { type CommandOutcome, MigrationClient } from '../../../src/client';
import { SEARCH_ATTRIBUTES, workflowIdOf } from '../../../src/contract';
import {
  type Configuration,
  configurationSchema,
} from '../../../src/core/configuration/configuration-schema';
import { parseDocument } from '../../../src/core/configuration/schema-parts';
import type { Checkpoint, ClosingCheckpoint } from '../../../src/core/migration/checkpoint';
import type { MigrationStatus } from '../../../src/core/migration/status';
import type { Plan } from '../../../src/core/plan/plan';
import type { GatewayStatus } from '../../../src/core/routing/routing';
import { type Load, startLoad } from '../../../src/demo/load';
import type { DemoProvider } from '../../../src/demo/provider';
import { type RunningTemporal, startTemporalServer } from '../../../src/temporal-server/dev-server';
import { freePorts } from '../../../src/temporal-server/free-port';
import { built, type CliResult, runCli } from '../cli';
import { type NodeProcess, startNode } from '../node-process';
import { startFakeProvider } from '../providers/fake-provider';

const MODEL = 'old-model';
const CANDIDATE = 'new-llm';
const UNTIL_MS = 90_000;
const POLL_MS = 200;

export interface HarnessOptions {
  /** Routes of the configuration, all between the same two providers; `chat` when absent. */
  readonly routes?: readonly string[];
  /** How many gateways; 2 when absent. */
  readonly gateways?: number;
  /**
   * Gateways are found by a name and not configured: each has an address of its own on one port, and may move to
   * another, as pods do.
   */
  readonly discovery?: boolean;
  readonly dynamicConfig?: Readonly<Record<string, number>>;
  /** Targets of effects, as the configuration names them. */
  readonly effects?: Readonly<Record<string, unknown>>;
  /** Further secrets, for references of `effects`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Whether the models of both providers have prices; they have none when absent. */
  readonly prices?: boolean;
  /** Further providers of the configuration. */
  readonly providers?: Readonly<Record<string, unknown>>;
  /** Lines such as `stickyKey: body` for every route. */
  readonly route?: Readonly<Record<string, unknown>>;
}

/** One gateway as a process of its own. */
export interface GatewayProcess {
  readonly name: string;
  readonly data: string;
  readonly admin: string;
  readonly stateDirectory: string;
  readonly logFile: string;
  process: NodeProcess;
}

/** An answer that a caller got, and the provider that it is said to be from. */
interface Answered {
  readonly status: number;
  readonly provider: string | null;
}

/** What a special worker is given, see `worker-process.js`. */
export interface SpecialWorker {
  readonly queues: readonly ('routing' | 'watch' | 'effects')[];
  readonly watchSlots?: number;
  readonly bundle?: string;
  /** The build that it is; any worker's work when absent. */
  readonly version?: { readonly deploymentName: string; readonly buildId: string };
}

/**
 * Real parts on loopback for one test file: a Temporal server on its own database file, two providers, gateways
 * and workers as processes that can be killed.
 */
export class MigrationHarness {
  readonly #stops: (() => unknown)[] = [];
  readonly gateways: GatewayProcess[] = [];
  #addresses = 0;
  readonly workers: NodeProcess[] = [];
  secrets: Readonly<Record<string, string>> = {
    LEGACY_KEY: `legacy-key-${randomBytes(12).toString('hex')}`,
    CANDIDATE_KEY: `candidate-key-${randomBytes(12).toString('hex')}`,
    WEBHOOK_SECRET: `webhook-secret-${randomBytes(12).toString('hex')}`,
    CUTOVER_ADMIN_TOKEN: `admin-token-${randomBytes(12).toString('hex')}`,
  };
  temporal!: RunningTemporal;
  client!: MigrationClient;
  /** Temporal's own client, for what `MigrationClient` does not show. */
  workflows!: WorkflowClient;
  admin!: GatewayAdmin;
  legacy!: DemoProvider;
  candidate!: DemoProvider;
  readonly #routes: readonly string[];

  private constructor(
    readonly folder: string,
    private readonly options: HarnessOptions,
  ) {
    this.#routes = options.routes ?? ['chat'];
    this.secrets = { ...this.secrets, ...options.secrets };
  }

  /** Starts everything but a worker; whatever fails, what was started is stopped again. */
  static async start(options: HarnessOptions = {}): Promise<MigrationHarness> {
    const harness = new MigrationHarness(mkdtempSync(join(tmpdir(), 'cutover-e2e-')), options);
    try {
      await harness.#startParts();
      return harness;
    } catch (error) {
      await harness.stop();
      throw error;
    }
  }

  async #startParts(): Promise<void> {
    const { LEGACY_KEY, CANDIDATE_KEY } = this.secrets as { LEGACY_KEY: string; CANDIDATE_KEY: string };
    this.#stops.push(() => rmSync(this.folder, { recursive: true, force: true }));
    await this.startTemporal();
    this.#stops.push(() => this.temporal.stop());
    this.legacy = await startFakeProvider({ name: 'legacy', models: [MODEL], key: LEGACY_KEY });
    this.#stops.push(() => this.legacy.stop());
    this.candidate = await startFakeProvider({
      name: 'candidate',
      models: ['new-model'],
      key: CANDIDATE_KEY,
    });
    this.#stops.push(() => this.candidate.stop());
    const count = this.options.gateways ?? 2;
    const ports = await freePorts('127.0.0.1', 2 * count);
    const planned = Array.from({ length: count }, (_, index) => ({
      name: `gw-${index + 1}`,
      ...(this.options.discovery === true
        ? this.#nextAddress(ports)
        : {
            data: `http://127.0.0.1:${ports[2 * index]}`,
            admin: `http://127.0.0.1:${ports[2 * index + 1]}`,
          }),
      stateDirectory: join(this.folder, `gw-${index + 1}`),
      logFile: join(this.folder, `gw-${index + 1}.log`),
    }));
    this.#writeHosts(planned);
    writeFileSync(this.configPath, JSON.stringify(this.#document(planned)));
    for (const gateway of planned) {
      this.gateways.push({ ...gateway, process: await this.#startGateway(gateway, planned, 'legacy') });
      this.#stops.push(() => this.gateway(gateway.name).process.end());
    }
    this.#stops.push(() => Promise.all(this.workers.map((worker) => worker.end())));
    this.client = await MigrationClient.connect({ address: this.temporal.address });
    this.#stops.push(() => this.client.close());
    const connection = await Connection.connect({ address: this.temporal.address });
    this.#stops.push(() => connection.close());
    this.workflows = new Client({ connection }).workflow;
    this.admin = new GatewayAdmin({
      token: this.secrets['CUTOVER_ADMIN_TOKEN'] as string,
      discover: async () => this.gateways,
    });
    this.#stops.push(() => this.admin.close());
  }

  get configPath(): string {
    return join(this.folder, 'cutover.json');
  }

  #document(gateways: readonly Omit<GatewayProcess, 'process'>[], settled = 'legacy'): object {
    const price = { inputPerMillion: 1, outputPerMillion: 2 };
    const priced = this.options.prices === true;
    const provider = (url: string, key: string, model: string) => ({
      ...{ baseUrl: url, auth: { bearer: key } },
      ...(priced ? { prices: { [model]: price } } : {}),
    });
    const route = {
      legacy: 'old-llm',
      candidate: CANDIDATE,
      models: { [MODEL]: 'new-model' },
      stickyKey: 'none',
      settled,
      ...this.options.route,
    };
    return {
      providers: {
        'old-llm': provider(this.legacy.url, 'env:LEGACY_KEY', MODEL),
        [CANDIDATE]: provider(this.candidate.url, 'env:CANDIDATE_KEY', 'new-model'),
        ...this.options.providers,
      },
      routes: Object.fromEntries(this.#routes.map((name) => [name, route])),
      ...(this.options.discovery === true
        ? { gatewayDiscovery: { admin: `http://gateways.test:${new URL(gateways[0]?.admin ?? '').port}` } }
        : { gateways: gateways.map(({ name, data, admin }) => ({ name, data, admin })) }),
      ...(this.options.effects === undefined ? {} : { effects: this.options.effects }),
    };
  }

  get configuration(): Configuration {
    const document = JSON.parse(readFileSync(this.configPath, 'utf8'));
    return parseDocument(configurationSchema, document, 'the configuration of the test');
  }

  gateway(name: string): GatewayProcess {
    const found = this.gateways.find((gateway) => gateway.name === name);
    if (found === undefined) throw new Error(`expected a gateway ${name}`);
    return found;
  }

  #startGateway(
    gateway: Omit<GatewayProcess, 'process'>,
    all: readonly Omit<GatewayProcess, 'process'>[],
    settled: 'legacy' | 'candidate',
  ): Promise<NodeProcess> {
    const { name, stateDirectory, logFile } = gateway;
    const path = join(this.folder, `${name}.json`);
    mkdirSync(stateDirectory, { recursive: true });
    const settings = { stateDirectory, drain: '2s' };
    writeFileSync(path, JSON.stringify({ ...this.#document(all, settled), gateway: settings }));
    const common = ['gateway', '--config', path, '--log', logFile, '--json'];
    if (this.options.discovery !== true) return this.#startCli([...common, '--name', name], '"adminUrl"');
    const listening = ['--data', new URL(gateway.data).host, '--admin', new URL(gateway.admin).host];
    return this.#startCli([...common, ...listening], '"adminUrl"', { CUTOVER_GATEWAY_NAME: name });
  }

  /** The next loopback address, as a new pod gets one, with the ports that all gateways have. */
  #nextAddress(ports: readonly (number | string)[]): Pick<GatewayProcess, 'data' | 'admin'> {
    this.#addresses += 1;
    const host = `127.0.0.${10 + this.#addresses}`;
    return { data: `http://${host}:${ports[0]}`, admin: `http://${host}:${ports[1]}` };
  }

  /** What the name of the gateways resolves to. */
  #writeHosts(gateways: readonly Pick<GatewayProcess, 'admin'>[]): void {
    const hosts = gateways.map(({ admin }) => new URL(admin).hostname);
    writeFileSync(join(this.folder, 'gateways.hosts'), `${hosts.join('\n')}\n`);
  }

  /** Ends a gateway's process and takes its address out of the name, as the end of a pod does. */
  async removeGateway(name: string, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.gateway(name).process.end(signal);
    this.#writeHosts(this.gateways.filter((gateway) => gateway.name !== name));
  }

  /** Starts a removed gateway under its name and with its state directory at a new address. */
  async returnGateway(name: string, settled: 'legacy' | 'candidate' = 'legacy'): Promise<void> {
    const before = this.gateway(name);
    const ports = [new URL(before.data).port, new URL(before.admin).port];
    const moved = { ...before, ...this.#nextAddress(ports) };
    this.#writeHosts(this.gateways.map((gateway) => (gateway === before ? moved : gateway)));
    moved.process = await this.#startGateway(moved, this.gateways, settled);
    this.gateways[this.gateways.indexOf(before)] = moved;
  }

  /** A rolling update as a StatefulSet makes it: one gateway after the other ends and comes back elsewhere. */
  async roll(route: string, settled: 'legacy' | 'candidate' = 'legacy'): Promise<void> {
    for (const { name } of [...this.gateways]) {
      await this.removeGateway(name);
      await this.returnGateway(name, settled);
      await this.eventually(
        `${name} to be ready for ${route}`,
        async () => (await this.gatewayStatus(name, route)).ready,
      );
    }
  }

  /** Starts a gateway's process anew; the one before must be gone. */
  async restartGateway(name: string, settled: 'legacy' | 'candidate' = 'legacy'): Promise<void> {
    const gateway = this.gateway(name);
    gateway.process = await this.#startGateway(gateway, this.gateways, settled);
  }

  /** What an operator does in handover: one gateway after the other is started with `settled: candidate`. */
  async settle(): Promise<void> {
    for (const { name } of this.gateways) {
      await this.gateway(name).process.end();
      await this.restartGateway(name, 'candidate');
    }
  }

  /** Back to `settled: legacy`, so that other routes may begin. */
  async unsettle(): Promise<void> {
    for (const { name } of this.gateways) {
      await this.gateway(name).process.end();
      await this.restartGateway(name);
    }
  }

  /** The worker as users run it. */
  startWorker(...more: readonly string[]): Promise<NodeProcess> {
    const args = ['worker', '--config', this.configPath, '--address', this.temporal.address, ...more];
    return this.#kept(this.#startCli(args, 'worker: serving'));
  }

  startSpecialWorker(options: SpecialWorker): Promise<NodeProcess> {
    const argument = {
      ...options,
      build: dirname(built('workflow-bundle.js')),
      config: this.configPath,
      address: this.temporal.address,
    };
    return this.#kept(
      startNode([join(__dirname, 'worker-process.js'), JSON.stringify(argument)], {
        env: this.secrets,
        cwd: this.folder,
        ready: 'worker: serving',
      }),
    );
  }

  async #kept(starting: Promise<NodeProcess>): Promise<NodeProcess> {
    const worker = await starting;
    this.workers.push(worker);
    return worker;
  }

  /** What the programs of this world see. */
  get #environment(): Readonly<Record<string, string>> {
    if (this.options.discovery !== true) return this.secrets;
    return {
      ...this.secrets,
      NODE_OPTIONS: `--require ${join(__dirname, 'resolve-gateways.js')}`,
      CUTOVER_TEST_HOSTS: join(this.folder, 'gateways.hosts'),
    };
  }

  #startCli(
    args: readonly string[],
    ready: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<NodeProcess> {
    return startNode([built('src', 'cli', 'main.js'), ...args], {
      env: { ...this.#environment, ...more },
      cwd: this.folder,
      ready,
    });
  }

  /** Starts Temporal on its file, the second time on the port that it had. */
  async startTemporal(): Promise<void> {
    const executable = process.env['CUTOVER_TEST_TEMPORAL'];
    if (executable === undefined) throw new Error('expected CUTOVER_TEST_TEMPORAL from the global setup');
    const port = this.temporal === undefined ? {} : { port: Number(this.temporal.address.split(':')[1]) };
    this.temporal = await startTemporalServer({
      executable,
      searchAttributes: SEARCH_ATTRIBUTES,
      dbFilename: join(this.folder, 'temporal.db'),
      uiPort: 'off',
      ...port,
      ...(this.options.dynamicConfig === undefined ? {} : { dynamicConfig: this.options.dynamicConfig }),
    });
  }

  /** A further program of this world, such as a worker that only trains. */
  startProgram(
    args: readonly string[],
    ready: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<NodeProcess> {
    return this.#kept(this.#startCli([...args, '--address', this.temporal.address], ready, more));
  }

  /** Runs the `temporal` command against this server; rejects when it exits with an error. */
  async temporalCommand(...args: readonly string[]): Promise<string> {
    const executable = process.env['CUTOVER_TEST_TEMPORAL'] as string;
    const all = [...args, '--address', this.temporal.address];
    const { stdout } = await promisify(execFile)(executable, all, { timeout: 20_000 });
    return stdout;
  }

  /** A signal as the Temporal UI sends it: what was typed into the dialog, or nothing. */
  async signalByHand(route: string, name: string, typed?: string): Promise<void> {
    const input = typed === undefined ? [] : ['--input', typed];
    await this.temporalCommand(
      ...['workflow', 'signal', '--workflow-id', workflowIdOf(route), '--name', name],
      ...input,
    );
  }

  handle(route: string): WorkflowHandle {
    return this.workflows.getHandle(workflowIdOf(route));
  }

  /** Starts a migration; resolves with its id. */
  async begin(plan: Plan): Promise<string> {
    const { configuration } = this;
    const started = await this.client.start({ plan, configuration, by: 'test', reason: 'a test' });
    return started.migrationId;
  }

  /** Starts a migration and waits until its canary is watched. */
  async beginInCanary(plan: Plan): Promise<string> {
    const migrationId = await this.begin(plan);
    await this.until(plan.route, ({ phase, stage }) => phase === 'observing' && stage === 'canary');
    return migrationId;
  }

  /** Waits for a status; whoever does not answer meanwhile (a worker or Temporal that is down) is waited for. */
  async until(
    route: string,
    wanted: (status: MigrationStatus) => boolean,
    withinMs = UNTIL_MS,
  ): Promise<MigrationStatus> {
    const deadlineMs = performance.now() + withinMs;
    let last: unknown = 'nothing';
    while (performance.now() < deadlineMs) {
      try {
        const status = await this.client.status(route, { workerWaitMs: 2_000 });
        if (wanted(status)) return status;
        last = brief(status);
      } catch (error) {
        last = error;
      }
      await sleep(POLL_MS);
    }
    const told = last instanceof Error ? last.message : JSON.stringify(last, null, 2);
    throw new Error(`expected the awaited status within ${withinMs} ms, got last: ${told}`);
  }

  /** Waits until something holds; `what` says in the error what did not come. */
  async eventually(what: string, holds: () => Promise<boolean>, withinMs = UNTIL_MS): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (!(await holds())) {
      if (performance.now() > deadlineMs) throw new Error(`expected ${what} within ${withinMs} ms`);
      await sleep(POLL_MS);
    }
  }

  /** Runs `cutover ARGS` with this configuration and this Temporal, as an operator would. */
  cutover(...args: readonly string[]): Promise<CliResult> {
    const env = {
      ...this.#environment,
      CUTOVER_CONFIG: this.configPath,
      TEMPORAL_ADDRESS: this.temporal.address,
    };
    return runCli(args, { env, cwd: this.folder });
  }

  /** Sends a command and follows it to its end. */
  async command(
    route: string,
    name: Parameters<MigrationClient['command']>[1],
    payload: Readonly<Record<string, unknown>> = {},
  ): Promise<CommandOutcome> {
    const { commandId } = await this.client.command(route, name, {
      by: 'test',
      reason: 'a test',
      ...payload,
    });
    return this.client.follow(route, commandId);
  }

  async checkpoints(route: string): Promise<Checkpoint[]> {
    const all: Checkpoint[] = [];
    for await (const checkpoint of this.client.checkpoints(route)) all.push(checkpoint);
    return all;
  }

  /** The changes of routing that took effect, oldest first. */
  async effects(route: string): Promise<ClosingCheckpoint[]> {
    const all = await this.checkpoints(route);
    return all.flatMap((entry) => (entry.kind === 'took effect' ? [entry] : []));
  }

  /** What a gateway says about a route. */
  async gatewayStatus(name: string, route: string): Promise<GatewayStatus> {
    const answer = await this.admin.status(this.gateway(name), route);
    if (answer.kind !== 'ok') throw new Error(`expected ${name} to answer, got ${JSON.stringify(answer)}`);
    return answer.value;
  }

  /** An open loop of plain and streamed requests to a route through all gateways. */
  load(route: string, ratePerSecond = 25): Load {
    const gateways = this.gateways.map(({ data }) => `${data}/routes/${route}`);
    const load = startLoad({ gateways, ratePerSecond, model: MODEL, candidate: CANDIDATE });
    this.#stops.push(() => load.stop());
    return load;
  }

  /** Tells a number that was measured, without judging it: how long something took depends on the machine. */
  measured(line: string): void {
    process.stderr.write(`measured: ${line}\n`);
  }

  /** Sends plain requests to one gateway at once; each resolves with who answered. */
  askMany(name: string, route: string, count: number): Promise<Answered>[] {
    const { data } = this.gateway(name);
    const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'hello' }] });
    return Array.from({ length: count }, async () => {
      const answer = await fetch(`${data}/routes/${route}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      await answer.arrayBuffer();
      return { status: answer.status, provider: answer.headers.get('x-cutover-provider') };
    });
  }

  /** Stops everything, the last one started first. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }
}

function brief({ verdict, ...status }: MigrationStatus): object {
  const { phase, stage, share, epoch, doing, effects, approval, paused, drift, soak } = status;
  return {
    phase,
    stage,
    share,
    epoch,
    doing,
    effects,
    approval,
    paused,
    drift,
    verdict: verdict?.sentence,
    soak,
  };
}
