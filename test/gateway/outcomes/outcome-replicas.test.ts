import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { GatewayAdmin } from '../../../src/adapters/gateway-admin';
import { type Evidence, mergeEvidence } from '../../../src/core/evidence/evidence';
import { outcomesOf } from '../../../src/core/evidence/outcome-counts';
import { assign } from '../../../src/core/routing/assignment';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { ProcessGateway } from '../../support/gateways/process-gateway';
import { ADMIN_TOKEN, MODEL, ROUTE } from '../../support/gateways/running-gateway';
import { type FaultProvider, startFaultProvider, well } from '../../support/providers/fault-provider';

const root = temporaryDirectory();
const admin = new GatewayAdmin({ token: ADMIN_TOKEN, discover: async () => [] });
let legacy: FaultProvider;
let candidate: FaultProvider;
const replicas: ProcessGateway[] = [];
const agents: Agent[] = [];

beforeEach(async () => {
  legacy = await startFaultProvider(well);
  candidate = await startFaultProvider(well);
});

afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.stop();
  for (const agent of agents.splice(0)) await agent.destroy();
  await legacy.stop();
  await candidate.stop();
});

afterAll(() => admin.close());

/** A replica with two processes; all of them share the file with the key. */
async function replica(): Promise<ProcessGateway> {
  const directory = mkdtempSync(join(root, 'replica-'));
  const key = join(root, 'key');
  writeFileSync(key, 'the-same-at-every-gateway-of-the-group');
  mkdirSync(join(directory, 'state'), { recursive: true });
  const started = await ProcessGateway.start({
    ...{ directory, legacyUrl: legacy.url, candidateUrl: candidate.url, processes: 2 },
    settings: { outcomes: { key: `file:${key}` } },
  });
  replicas.push(started);
  return started;
}

function connection(): Agent {
  const agent = new Agent({ connections: 1 });
  agents.push(agent);
  return agent;
}

async function ask({ dataUrl }: ProcessGateway, user: string): Promise<string> {
  const answer = await request(`${dataUrl}/v1/chat/completions`, {
    ...{ method: 'POST', dispatcher: connection() },
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, user, messages: [] }),
  });
  await answer.body.dump();
  return String(answer.headers['x-cutover-request']);
}

/** Every call is a connection of its own, so that the processes take turns. */
async function report({ dataUrl }: ProcessGateway, tokens: readonly string[], value: boolean): Promise<void> {
  for (const token of tokens) {
    const answer = await request(`${dataUrl}/v1/outcomes`, {
      ...{ method: 'POST', dispatcher: connection() },
      body: JSON.stringify({ request: token, name: 'solved', value }),
    });
    expect(await answer.body.json()).toEqual({ received: 1 });
  }
}

/** Reads as a watch does: what came since the cursor that it holds. */
class Reader {
  readonly #seen: Evidence[] = [];
  readonly #cursors = new Map<ProcessGateway, string>();

  async read(...gateways: readonly ProcessGateway[]) {
    for (const gateway of gateways) {
      const since = this.#cursors.get(gateway) ?? null;
      const answer = await admin.evidence(gateway.entry, ROUTE, 1, since);
      if (answer.kind !== 'ok') throw new Error(JSON.stringify(answer));
      this.#cursors.set(gateway, answer.value.cursor);
      this.#seen.push(answer.value.evidence);
    }
    const { legacy: stayed, candidate: moved } = outcomesOf(mergeEvidence(this.#seen, 1).outcomes, 'solved');
    return [stayed.booleans, moved.booleans];
  }
}

const users = Array.from({ length: 24 }, (_, index) => `user-${index}`);
const movedUsers = users.filter((user) => assign('salt', user, 0.5) === 'candidate').length;

it('counts what two replicas are told of each other, each once, though one is killed and comes back', async () => {
  const [one, other] = [await replica(), await replica()];
  for (const gateway of [one, other]) await gateway.push({ share: 0.5 });
  const reader = new Reader();
  const tokens: string[] = [];
  for (const user of users) tokens.push(await ask(one, user));
  const [early, late] = [tokens.slice(0, 12), tokens.slice(12)];
  await report(other, early, true);
  await reader.read(one, other);

  await other.process.end('SIGKILL');
  await other.restart();
  // Once more what was counted before the crash, and for the first time the rest.
  await report(other, early, true);
  await report(other, late, true);
  await report(other, late, false);
  expect(await reader.read(one, other)).toEqual([
    [24 - movedUsers, 24 - movedUsers],
    [movedUsers, movedUsers],
  ]);
});
