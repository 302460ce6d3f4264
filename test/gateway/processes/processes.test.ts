import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import type { Evidence } from '../../../src/core/evidence/evidence';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { ProcessGateway, type ProcessGatewayOptions } from '../../support/gateways/process-gateway';
import {
  type Fault,
  type FaultProvider,
  startFaultProvider,
  well,
} from '../../support/providers/fault-provider';

const root = temporaryDirectory();
let legacy: FaultProvider;
let candidate: FaultProvider;
let gateway: ProcessGateway;
const agents: Agent[] = [];

beforeEach(async () => {
  legacy = await startFaultProvider(well);
  candidate = await startFaultProvider(well);
});

afterEach(async () => {
  for (const pid of stopped.splice(0)) signal(pid, 'SIGCONT');
  await gateway.stop();
  for (const agent of agents.splice(0)) await agent.destroy();
  await legacy.stop();
  await candidate.stop();
});

async function start(options: Partial<ProcessGatewayOptions> = {}): Promise<void> {
  const directory = mkdtempSync(join(root, 'gateway-'));
  const urls = { legacyUrl: legacy.url, candidateUrl: candidate.url };
  gateway = await ProcessGateway.start({ directory, ...urls, processes: 2, ...options });
}

/** A caller with one connection of its own: connections go to the processes in turn. */
function caller(): Agent {
  const agent = new Agent({ connections: 1, keepAliveTimeout: 60_000 });
  agents.push(agent);
  return agent;
}

const stopped: number[] = [];

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already.
  }
}

function freeze(pid: number): void {
  stopped.push(pid);
  signal(pid, 'SIGSTOP');
}

/** The first answer says that the primary has read all reports, the second that all have read what came of them. */
async function allKnow(): Promise<void> {
  await gateway.status();
  await gateway.status();
}

/** Callers that ask until they are told to stop. */
class Load {
  running = true;
  readonly answers: string[] = [];
  readonly #callers: Promise<void>[];

  constructor(callers: number) {
    this.#callers = Array.from({ length: callers }, async (_, index) => {
      const agent = caller();
      for (let turn = 0; this.running; turn += 1) {
        const answer = await gateway.ask(`user-${index}-${turn % 40}`, agent, { stream: index % 2 === 0 });
        this.answers.push(answer);
        if (answer.startsWith('E') || answer.startsWith('UND')) await sleep(20);
      }
    });
  }

  async more(count: number): Promise<void> {
    const wanted = this.answers.length + count;
    while (this.answers.length < wanted) await sleep(2);
  }

  async end(): Promise<void> {
    this.running = false;
    await Promise.all(this.#callers);
  }
}

function attempts({ cells }: Evidence, arm: 'legacy' | 'candidate'): number {
  return cells
    .filter((cell) => cell.side === arm && cell.kind === 'live')
    .reduce((sum, cell) => sum + cell.attempts, 0);
}

describe('a gateway of two processes', () => {
  it('gives all of them the keys that a command prints, and those that start later as well', async () => {
    const keyFile = join(root, 'printed');
    writeFileSync(keyFile, 'sk-first-0001');
    const auth = { bearer: 'credential:cloud' };
    await start({
      configuration: {
        providers: { old: { baseUrl: legacy.url, auth }, new: { baseUrl: candidate.url, auth } },
        credentials: { cloud: { command: ['cat', keyFile], lifetime: '1s' } },
      },
    });
    const keys = new Set<string>();
    legacy.fault = (exchange) => {
      keys.add(String(exchange.response.req.headers.authorization));
      well(exchange);
    };
    const load = new Load(4);
    writeFileSync(keyFile, 'sk-second-0002');
    while (!keys.has('Bearer sk-second-0002')) await load.more(1);
    const former = gateway.pids;
    for (const pid of former) signal(pid, 'SIGKILL');
    while (gateway.pids.some((pid) => former.includes(pid))) await sleep(20);
    keys.clear();
    while (keys.size === 0) await load.more(1);
    await load.more(50);
    await load.end();
    expect(keys).toEqual(new Set(['Bearer sk-second-0002']));
  });

  it('has all of them read the configuration again on SIGHUP, and those that start later as well', async () => {
    const auth = (name: string) => ({ bearer: `file:${join(root, name)}` });
    const providers = (name: string) => ({
      old: { baseUrl: legacy.url, auth: auth(name) },
      new: { baseUrl: candidate.url },
    });
    writeFileSync(join(root, 'first'), 'sk-first-0001');
    writeFileSync(join(root, 'second'), 'sk-second-0002');
    const limits = { requestsPerMinute: 1_000_000 };
    const callers = [{ team: 'web', keySha256: 'a'.repeat(64), limits }];
    await start({ configuration: { providers: providers('first') } });
    const keys = new Set<string>();
    legacy.fault = (exchange) => {
      keys.add(String(exchange.response.req.headers.authorization));
      well(exchange);
    };
    const load = new Load(4);
    await load.more(20);
    expect(keys).toEqual(new Set(['Bearer sk-first-0001']));
    const failed = load.answers.length;
    gateway.configure({ providers: providers('second') });
    signal(gateway.process.pid, 'SIGHUP');
    while (!keys.has('Bearer sk-second-0002')) await load.more(1);
    await load.more(20);
    keys.clear();
    await load.more(20);
    expect(keys).toEqual(new Set(['Bearer sk-second-0002']));
    expect(load.answers.slice(0, failed + 40).filter((answer) => answer.startsWith('E'))).toEqual([]);
    const former = gateway.pids;
    for (const pid of former) signal(pid, 'SIGKILL');
    while (gateway.pids.some((pid) => former.includes(pid))) await sleep(20);
    keys.clear();
    while (keys.size === 0) await load.more(1);
    await load.more(20);
    // Nobody has this key: callers are others in all processes.
    gateway.configure({ providers: providers('second'), callers });
    signal(gateway.process.pid, 'SIGHUP');
    const answered = () => load.answers.slice(-8);
    while (!answered().every((answer) => answer.includes('401'))) await load.more(8);
    await load.end();
    expect(keys).toEqual(new Set(['Bearer sk-second-0002']));
  });

  it('shows the candidate nothing new once all processes have confirmed a lowering', async () => {
    await start();
    const load = new Load(12);
    for (let round = 0; round < 6; round += 1) {
      expect(await gateway.push({ share: 0.5 })).toMatchObject({ confirmed: true });
      const before = candidate.bodies.length;
      while (candidate.bodies.length < before + 5) await sleep(2);
      const lowered = await gateway.push({ share: 0 }, round % 2 === 0 ? 'drain' : 'cut');
      expect(lowered).toMatchObject({ confirmed: true, status: { unsentOlder: 0, effectiveShare: 0 } });
      await gateway.drained();
      const fence = candidate.bodies.length;
      await load.more(60);
      expect(candidate.bodies).toHaveLength(fence);
    }
    await load.end();
    expect([...new Set(load.answers)].sort()).toEqual(['new', 'old']);
  });

  it('counts exactly what callers and providers saw, in evidence, draws, keys and metrics', async () => {
    await start();
    const { status } = await gateway.push({ share: 0.5 });
    const load = new Load(8);
    await load.more(400);
    await load.end();
    const epoch = status.record?.epoch ?? 0;
    const evidence = await gateway.evidence(epoch);
    const served = (name: string) => load.answers.filter((answer) => answer === name).length;
    expect(served('new') + served('old')).toBe(load.answers.length);
    expect(attempts(evidence, 'candidate')).toBe(served('new'));
    expect(attempts(evidence, 'legacy')).toBe(served('old'));
    expect(candidate.bodies).toHaveLength(served('new'));
    expect(legacy.bodies).toHaveLength(served('old'));
    const { assigned, keys } = await gateway.status();
    expect(assigned).toEqual({ candidate: served('new'), legacy: served('old') });
    const users = new Set([...candidate.bodies, ...legacy.bodies].map((body) => JSON.parse(body).user));
    expect(keys).toMatchObject({ distinct: users.size, keyedRequests: load.answers.length });
    expect(await gateway.metric('cutover_requests_total', 'side="candidate"')).toBe(served('new'));
    expect(await gateway.metric('cutover_requests_total', 'side="legacy"')).toBe(served('old'));
    expect(await gateway.metric('cutover_share_effective')).toBe(0.5);
    expect(gateway.log.filter(({ msg }) => msg === 'request').length).toBeLessThanOrEqual(
      load.answers.length,
    );
  });

  it('adds up what answers of all processes kept of their contract, late judgements included', async () => {
    await start();
    const { status } = await gateway.push({ share: 1 });
    const epoch = status.record?.epoch ?? 0;
    const breaks = (args: string): Fault => {
      const call = { id: 't', type: 'function', function: { name: 'f', arguments: args } };
      const message = { role: 'assistant', content: null, tool_calls: [call] };
      const choices = [{ index: 0, message, finish_reason: 'tool_calls' }];
      return ({ response }) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id: 'c', model: 'm', choices }));
      };
    };
    const tools = [
      { type: 'function', function: { name: 'f', parameters: { type: 'object', required: ['a'] } } },
    ];
    const callers = Array.from({ length: 4 }, caller);
    for (const args of ['{}', '{"a":1}', '{"a":']) {
      candidate.fault = breaks(args);
      await Promise.all(callers.map((agent, index) => gateway.ask(`user-${index}`, agent, { tools })));
    }
    candidate.fault = well;
    for (const agent of callers) await gateway.ask('user-0', agent);
    const answers = async () => (await gateway.evidence(epoch)).cells[0]?.answers;
    while ((await answers())?.checked !== 16) await sleep(20);
    expect(await answers()).toEqual({
      ...{ checked: 16, unchecked: 0, breaches: { tool_schema: 4, tool_unparsed: 4 } },
      ends: { tool_calls: 12, stop: 4 },
    });
    const { buckets } = await gateway.evidence(epoch);
    const sum = (at: number) => buckets.candidate.reduce((total, counts) => total + (counts[at] ?? 0), 0);
    expect([sum(1), sum(5), sum(6)]).toEqual([16, 16, 8]);
    expect(await gateway.metric('cutover_answer_breaches_total', 'class="tool_schema"')).toBe(4);
    expect(gateway.pids).toHaveLength(2);
  });

  it('replaces a process that is killed by one that holds the record, and keeps what was counted', async () => {
    await start();
    const { status } = await gateway.push({ share: 1 });
    const epoch = status.record?.epoch ?? 0;
    const incarnation = status.incarnation;
    const load = new Load(8);
    await load.more(100);
    await load.end();
    const counted = attempts(await gateway.evidence(epoch), 'candidate');
    expect(counted).toBe(load.answers.length);
    expect(await gateway.metric('cutover_requests_total', 'side="candidate"')).toBe(counted);
    const [killed, kept] = gateway.pids as [number, number];
    process.kill(killed, 'SIGKILL');
    while (gateway.pids.includes(killed) || gateway.pids.length < 2) await sleep(20);
    await gateway.serving(2);
    expect(gateway.pids).toContain(kept);
    expect(attempts(await gateway.evidence(epoch), 'candidate')).toBe(counted);
    expect((await gateway.status()).incarnation).toBe(incarnation);
    // Fresh connections reach both processes: either serves the candidate under the record in force.
    const after = await Promise.all(
      Array.from({ length: 8 }, (_, user) => gateway.ask(`u-${user}`, caller())),
    );
    expect(new Set(after)).toEqual(new Set(['new']));
    expect(attempts(await gateway.evidence(epoch), 'candidate')).toBe(counted + 8);
    expect(await gateway.metric('cutover_requests_total', 'side="candidate"')).toBe(counted + 8);
    expect(await gateway.metric('cutover_gateway_process_restarts_total')).toBe(1);
    expect(await gateway.push({ share: 0 })).toMatchObject({ confirmed: true });
  });

  it('loses no more of the evidence than what was under way in a process that is killed under load', async () => {
    await start();
    const { status } = await gateway.push({ share: 0.5 });
    const load = new Load(12);
    await load.more(300);
    process.kill(gateway.pids[0] as number, 'SIGKILL');
    await load.more(100);
    await gateway.serving(2);
    await load.more(100);
    await load.end();
    const evidence = await gateway.evidence(status.record?.epoch ?? 0);
    const counted = attempts(evidence, 'candidate') + attempts(evidence, 'legacy');
    const answered = load.answers.filter((answer) => answer === 'new' || answer === 'old').length;
    expect(counted).toBeLessThanOrEqual(candidate.bodies.length + legacy.bodies.length);
    // Half of twelve callers, each with few requests in the 20 ms between two reports.
    expect(answered - counted).toBeLessThanOrEqual(200);
    expect(load.answers.length - answered).toBeLessThanOrEqual(12);
  });

  it('confirms no lowering while a process hangs, and confirms once that goes on', async () => {
    await start();
    await gateway.push({ share: 1 });
    freeze(gateway.pids[0] as number);
    const lowered = await gateway.push({ share: 0 });
    expect(lowered).toMatchObject({ confirmed: false, status: { unsentOlder: 1 } });
    expect((await gateway.status()).unsentOlder).toBe(1);
    signal(stopped[0] as number, 'SIGCONT');
    while ((await gateway.status()).unsentOlder > 0) await sleep(20);
    const again = await gateway.push({ share: 0 });
    expect(again).toMatchObject({ confirmed: true });
    const after = await Promise.all(
      Array.from({ length: 8 }, (_, user) => gateway.ask(`u-${user}`, caller())),
    );
    expect(new Set(after)).toEqual(new Set(['old']));
    expect(candidate.bodies).toHaveLength(0);
  });

  it('confirms no raise that a process which hangs does not hold', async () => {
    await start();
    await gateway.push({ share: 0.1 });
    freeze(gateway.pids[1] as number);
    expect(await gateway.push({ share: 0.5 })).toMatchObject({ confirmed: false });
  });

  it('serves nothing of the candidate in processes that were stopped until their lease had ended', async () => {
    await start();
    const callers = Array.from({ length: 6 }, caller);
    // Each has its connection before the processes stop.
    await Promise.all(callers.map((agent, user) => gateway.ask(`u-${user}`, agent)));
    const before = legacy.bodies.length;
    const { status } = await gateway.push({ share: 1, leaseMs: 3_000 });
    expect(await gateway.ask('u', callers[0] as Agent)).toBe('new');
    for (const pid of gateway.pids) freeze(pid);
    const asked = callers.map((agent, user) => gateway.ask(`u-${user}`, agent));
    await sleep((status.leaseRemainingMs ?? 0) + 200);
    for (const pid of stopped) signal(pid, 'SIGCONT');
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['old']));
    expect(candidate.bodies).toHaveLength(1);
    expect(legacy.bodies).toHaveLength(before + 6);
  });

  it('kills and replaces a process that hangs, and then confirms what it held up', async () => {
    await start();
    await gateway.push({ share: 1 });
    const hangs = gateway.pids[0] as number;
    freeze(hangs);
    expect(await gateway.push({ share: 0 })).toMatchObject({ confirmed: false });
    while (gateway.pids.includes(hangs)) await sleep(100);
    await gateway.serving(2);
    expect(await gateway.status()).toMatchObject({ unsentOlder: 0, effectiveShare: 0 });
    const after = await Promise.all(
      Array.from({ length: 8 }, (_, user) => gateway.ask(`u-${user}`, caller())),
    );
    expect(new Set(after)).toEqual(new Set(['old']));
  });

  it('kills in all processes at once, with callers answered by legacy', async () => {
    await start();
    candidate.fault = () => undefined;
    await gateway.push({ share: 1, stage: 'complete', pinned: true });
    const asked = Array.from({ length: 6 }, (_, user) => gateway.ask(`u-${user}`, caller()));
    while (candidate.bodies.length < 6) await sleep(5);
    expect(await gateway.kill()).toMatchObject({ effectiveShare: 0, unsentOlder: 0 });
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['old']));
    const after = await Promise.all(
      Array.from({ length: 6 }, (_, user) => gateway.ask(`v-${user}`, caller())),
    );
    expect(new Set(after)).toEqual(new Set(['old']));
    expect(candidate.bodies).toHaveLength(6);
  });

  it('keeps a conversation where it began, whichever process it comes back to', async () => {
    await start();
    await gateway.push({ share: 0.5, newConversationsOnly: true });
    for (let user = 0; user < 12; user += 1) {
      const began = await gateway.ask(`u-${user}`, caller());
      await allKnow();
      const messages = [
        { role: 'user', content: 'Hello?' },
        { role: 'assistant', content: 'Hello' },
        { role: 'user', content: 'And?' },
      ];
      const continued = [
        await gateway.ask(`u-${user}`, caller(), { messages }),
        await gateway.ask(`u-${user}`, caller(), { messages }),
      ];
      expect(continued).toEqual([began, began]);
    }
    expect(candidate.bodies.length).toBeGreaterThan(0);
    expect(legacy.bodies.length).toBeGreaterThan(0);
  });

  it('finds the maker of a response from every process, and after a start', async () => {
    await start();
    await gateway.push({ share: 1 });
    candidate.fault = ({ response }) => {
      const id = `resp_${candidate.bodies.length}`;
      const output = [{ type: 'message', content: [{ type: 'output_text', text: 'hi' }] }];
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ id, object: 'response', status: 'completed', output }));
    };
    const respond = (more: object) => gateway.ask('u', caller(), { input: 'Hi', ...more }, '/v1/responses');
    expect(await respond({})).toBe('new');
    await allKnow();
    const follow = { previous_response_id: 'resp_1' };
    expect([await respond(follow), await respond(follow), await respond(follow)]).toEqual([
      'new',
      'new',
      'new',
    ]);
    expect(legacy.bodies).toHaveLength(0);
    await gateway.process.end('SIGTERM');
    await gateway.restart();
    expect([await respond(follow), await respond(follow)]).toEqual(['new', 'new']);
    expect(legacy.bodies).toHaveLength(0);
  });

  it('loses no request that it had taken when it is told to stop under load', async () => {
    await start();
    await gateway.push({ share: 0.5 });
    const outcomes: string[] = [];
    let over = false;
    const callers = Array.from({ length: 12 }, async (_, index) => {
      const agent = caller();
      for (let turn = 0; !over; turn += 1) {
        const outcome = await gateway.ask(`user-${index}-${turn}`, agent);
        if (outcome === 'ECONNREFUSED') break;
        outcomes.push(outcome);
      }
    });
    while (outcomes.length < 200) await sleep(5);
    const { pids } = gateway;
    await gateway.process.end('SIGTERM');
    over = true;
    await Promise.all(callers);
    expect([...new Set(outcomes)].sort()).toEqual(['new', 'old']);
    expect(gateway.log.filter(({ msg }) => msg === 'request')).toHaveLength(outcomes.length);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('ends processes that an earlier start has left before it serves', async () => {
    await start();
    await gateway.push({ share: 1 });
    const { pids } = gateway;
    freeze(pids[0] as number);
    process.kill(gateway.process.pid, 'SIGKILL');
    while (!gone(gateway.process.pid) || !gone(pids[1] as number)) await sleep(20);
    expect(gone(pids[0] as number)).toBe(false);
    await gateway.restart();
    expect(pids.map(gone)).toEqual([true, true]);
    expect(gateway.log.filter(({ msg }) => String(msg).includes('left from an earlier start'))).toHaveLength(
      1,
    );
    const after = await Promise.all(
      Array.from({ length: 8 }, (_, user) => gateway.ask(`u-${user}`, caller())),
    );
    expect(new Set(after)).toEqual(new Set(['old']));
  });
});

/** Whether a process runs no more, be it waited for or not. */
function gone(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.startsWith('Z', text.lastIndexOf(')') + 2);
  } catch {
    return true;
  }
}
