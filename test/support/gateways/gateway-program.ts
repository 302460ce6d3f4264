import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../src/temporal-server/free-port';
import { built } from '../cli';
import { type NodeProcess, startNode } from '../node-process';
import { ADMIN_TOKEN, MAPPED_MODEL, MODEL, ROUTE } from './running-gateway';

/** `cutover gateway` in a process of its own, with one route between two providers. */
export interface GatewayProgram {
  readonly process: NodeProcess;
  readonly dataPort: number;
  readonly adminPort: number;
  readonly logPath: string;
  /** Open file descriptors of the process. */
  descriptors(): number;
  /** The value of a metric, summed over what its labels match, such as `cutover_tunnels_open`. */
  metric(name: string, labels?: string): Promise<number>;
  /** Kills it if it still runs, and removes what it wrote. */
  remove(): Promise<void>;
}

export interface GatewayProgramOptions {
  readonly legacyUrl: string;
  readonly candidateUrl: string;
  readonly gateway?: Record<string, unknown>;
  readonly configuration?: Record<string, unknown>;
  /** Of node, before the program. */
  readonly nodeArgs?: readonly string[];
  readonly log?: string;
}

export async function startGatewayProgram(wanted: GatewayProgramOptions): Promise<GatewayProgram> {
  const root = mkdtempSync(join(tmpdir(), 'cutover-program-'));
  const [dataPort = 0, adminPort = 0] = await freePorts('127.0.0.1', 2);
  const configPath = join(root, 'cutover.json');
  writeFileSync(
    configPath,
    JSON.stringify({
      providers: { old: { baseUrl: wanted.legacyUrl }, new: { baseUrl: wanted.candidateUrl } },
      routes: { [ROUTE]: { legacy: 'old', candidate: 'new', models: { [MODEL]: MAPPED_MODEL } } },
      gateway: { stateDirectory: join(root, 'state'), drain: '2s', ...wanted.gateway },
      ...wanted.configuration,
    }),
  );
  const logPath = wanted.log ?? join(root, 'requests.log');
  const process = await startNode(
    [
      ...(wanted.nodeArgs ?? []),
      ...[built('src', 'cli', 'main.js'), 'gateway', '--config', configPath, '--json'],
      ...['--log', logPath],
      ...['--data', `127.0.0.1:${dataPort}`, '--admin', `127.0.0.1:${adminPort}`],
    ],
    { env: { CUTOVER_ADMIN_TOKEN: ADMIN_TOKEN }, cwd: root, ready: '"adminUrl"' },
  );
  return {
    process,
    dataPort,
    adminPort,
    logPath,
    descriptors: () => readdirSync(`/proc/${process.pid}/fd`).length,
    async metric(name, labels = '') {
      const answer = await fetch(`http://127.0.0.1:${adminPort}/metrics`, {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, connection: 'close' },
      });
      const lines = (await answer.text()).split('\n').filter((line) => line.includes(labels));
      const values = lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      if (values.length === 0) throw new Error(`expected a metric ${name} with ${labels}`);
      return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    },
    async remove() {
      await process.end('SIGKILL');
      rmSync(root, { recursive: true, force: true });
    },
  };
}
