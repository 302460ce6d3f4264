import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, request } from 'undici';
import { GatewayAdmin } from '../../../src/adapters/gateway-admin';
import type { Evidence } from '../../../src/core/evidence/evidence';
import type {
  GatewayStatus,
  PushAccepted,
  PushRequest,
  RoutingRecord,
} from '../../../src/core/routing/routing';
import { freePorts } from '../../../src/temporal-server/free-port';
import { built } from '../cli';
import { type NodeProcess, startNode } from '../node-process';
import { ADMIN_TOKEN, MODEL, ROUTE } from './running-gateway';
import { pushAsWorker } from './worker-push';

export interface ProcessGatewayOptions {
  /** An empty directory for the configuration, the state and the log. */
  readonly directory: string;
  readonly legacyUrl: string;
  readonly candidateUrl: string;
  readonly processes: number | 'auto';
  readonly settings?: object;
  readonly route?: object;
  readonly configuration?: object;
  /** Further variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** `cutover gateway` in processes of its own, reached as workers and callers reach it. */
export class ProcessGateway {
  readonly #options: ProcessGatewayOptions;
  readonly #admin = new GatewayAdmin({ token: ADMIN_TOKEN, discover: async () => [] });
  readonly #ports: readonly number[];
  process: NodeProcess;

  private constructor(options: ProcessGatewayOptions, ports: readonly number[], process: NodeProcess) {
    this.#options = options;
    this.#ports = ports;
    this.process = process;
  }

  static async start(options: ProcessGatewayOptions): Promise<ProcessGateway> {
    const { directory } = options;
    mkdirSync(join(directory, 'state'), { recursive: true });
    writeConfiguration(options);
    const ports = await freePorts('127.0.0.1', 2);
    return new ProcessGateway(options, ports, await startProcess(options, ports));
  }

  /** Writes another configuration, which it has not read yet. */
  configure(configuration: object): void {
    writeConfiguration({ ...this.#options, configuration });
  }

  get dataUrl(): string {
    return `http://127.0.0.1:${this.#ports[0]}`;
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.#ports[1]}`;
  }

  get entry() {
    return { name: 'gateway', admin: this.adminUrl };
  }

  /** Ids of the processes that serve. */
  get pids(): number[] {
    const text = readFileSync(join(this.#options.directory, 'state', 'gateway.processes'), 'utf8');
    return (JSON.parse(text) as { pid: number }[]).map(({ pid }) => pid);
  }

  /** Lines of the request log, parsed. */
  get log(): Record<string, unknown>[] {
    const text = readFileSync(join(this.#options.directory, 'requests.log'), 'utf8').trimEnd();
    return text.split('\n').map((line) => JSON.parse(line));
  }

  async restart(): Promise<void> {
    this.process = await startProcess(this.#options, this.#ports);
  }

  async status(): Promise<GatewayStatus> {
    const answer = await this.#admin.status(this.entry, ROUTE);
    if (answer.kind !== 'ok') throw new Error(JSON.stringify(answer));
    return answer.value;
  }

  /** Pushes the next epoch as the worker does: read, then compare and set. */
  push(
    overrides: Partial<RoutingRecord>,
    inFlight: PushRequest['inFlight'] = 'drain',
  ): Promise<PushAccepted> {
    return pushAsWorker(this.#admin, this.entry, { leaseMs: 600_000, ...overrides }, inFlight);
  }

  async kill(): Promise<GatewayStatus> {
    const answer = await this.#admin.kill(this.entry, ROUTE, { by: 'ada', reason: 'a test' });
    if (answer.kind !== 'ok') throw new Error(JSON.stringify(answer));
    return answer.value;
  }

  async evidence(epoch: number): Promise<Evidence> {
    const answer = await this.#admin.evidence(this.entry, ROUTE, epoch, null);
    if (answer.kind !== 'ok') throw new Error(JSON.stringify(answer));
    return answer.value.evidence;
  }

  /** Value of a metric's first line whose labels contain the text; null without one. */
  async metric(name: string, labels = ''): Promise<number | null> {
    const answer = await request(`${this.adminUrl}/metrics`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    const lines = (await answer.body.text()).split('\n');
    const line = lines.find(
      (text) => text.startsWith(name) && !text.startsWith('#') && text.includes(labels),
    );
    return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1));
  }

  /** One call of a caller; who served it, or why it got no answer. */
  async ask(
    user: string,
    dispatcher: Agent,
    body: object = {},
    path = '/v1/chat/completions',
  ): Promise<string> {
    try {
      const answer = await request(`${this.dataUrl}${path}`, {
        ...{ method: 'POST', dispatcher },
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          ...{ model: MODEL, user, messages: [{ role: 'user', content: 'Hello?' }] },
          ...body,
        }),
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) return `status ${answer.statusCode}: ${text}`;
      return String(answer.headers['x-cutover-provider']);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
  }

  /** Waits until nothing of an older epoch is in flight. */
  async drained(): Promise<void> {
    while ((await this.status()).inFlightOlder > 0) await sleep(10);
  }

  /** Waits until so many processes serve. */
  async serving(processes: number): Promise<void> {
    while ((await this.metric('cutover_gateway_processes')) !== processes) await sleep(50);
  }

  async stop(): Promise<void> {
    await this.process.end('SIGTERM');
    await this.#admin.close();
  }
}

function startProcess(
  { directory, env: more }: ProcessGatewayOptions,
  [data, admin]: readonly number[],
): Promise<NodeProcess> {
  const args = [
    ...[built('src', 'cli', 'main.js'), 'gateway', '--config', join(directory, 'cutover.json')],
    ...['--log', join(directory, 'requests.log'), '--json'],
    ...['--data', `127.0.0.1:${data}`, '--admin', `127.0.0.1:${admin}`],
  ];
  const env = { CUTOVER_ADMIN_TOKEN: ADMIN_TOKEN, ...more };
  return startNode(args, { env, cwd: directory, ready: '"adminUrl"' });
}

function writeConfiguration(options: ProcessGatewayOptions): void {
  const { directory, legacyUrl, candidateUrl, processes } = options;
  const configuration = {
    providers: { old: { baseUrl: legacyUrl }, new: { baseUrl: candidateUrl } },
    routes: {
      [ROUTE]: { legacy: 'old', candidate: 'new', models: { [MODEL]: 'gpt-4o-mini' }, ...options.route },
    },
    gateway: {
      ...{ stateDirectory: join(directory, 'state'), drain: '5s', processes },
      ...options.settings,
    },
    ...options.configuration,
  };
  writeFileSync(join(directory, 'cutover.json'), JSON.stringify(configuration));
}
