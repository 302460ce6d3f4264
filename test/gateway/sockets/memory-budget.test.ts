import fc from 'fast-check';
import { WebSocket } from 'ws';
import { MemoryBudget } from '../../../src/gateway/sockets/memory-budget';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import { plain } from '../../support/providers/fault-provider';

/** Takes as much as there is, one byte after the other. */
function fill(budget: MemoryBudget, team: string): number {
  const account = budget.account(team);
  while (account.take(1));
  return account.heldBytes;
}

it('lets one caller have three quarters, and each that comes three quarters of what is left', () => {
  const budget = new MemoryBudget(1_024);
  expect(fill(budget, 'a')).toBe(768);
  expect(fill(budget, 'b')).toBe(192);
  expect(fill(budget, 'c')).toBe(48);
  expect(budget.heldBytes).toBe(1_008);
});

it('never holds more than it may, and has everything back in the end (property)', () => {
  const step = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(600));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = new MemoryBudget(1_000);
      const taken: [string, number][] = [];
      for (const [team, bytes] of steps) {
        if (budget.account(team).take(bytes)) taken.push([team, bytes]);
        expect(budget.heldBytes).toBeLessThanOrEqual(1_000);
        expect(budget.account(team).heldBytes).toBeLessThanOrEqual(750);
      }
      for (const [team, bytes] of taken) budget.account(team).give(bytes);
      expect(budget.heldBytes).toBe(0);
    }),
  );
});

it('counts what is there already, and has no room then', () => {
  const budget = new MemoryBudget(1_000);
  budget.account('a').hold(2_000);
  expect(budget.account('b').take(1)).toBe(false);
  budget.account('a').give(2_000);
  expect(budget.account('b').take(1)).toBe(true);
});

describe('a gateway without room', () => {
  const trial = gatewayTrial();
  const { candidate } = trial;
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await trial.start({ settings: { maxBufferedBytes: 1_024 } });
    await gateway.route(1);
  });

  const ask = (content: string) =>
    gateway
      .client()
      .chat.completions.create({ model: MODEL, messages: [{ role: 'user', content }] })
      .withResponse();

  it('lets small answers fail over all the same', async () => {
    candidate.fault = plain(`{"choices":[{"message":{"content":"${'x'.repeat(10_000)}`);
    const { response } = await ask('Hello?');
    expect(response.headers.get('x-cutover-failover')).toBe('malformed');
  });

  it('passes large answers on as they come', async () => {
    const body = JSON.stringify({ choices: [{ message: { content: 'x'.repeat(200_000) } }] });
    candidate.fault = plain(body);
    const { data, response } = await ask('Hello?');
    expect(response.headers.get('x-cutover-provider')).toBe('new');
    expect(data.choices[0]?.message.content).toHaveLength(200_000);
  });

  it('gives what it cannot hold to legacy, unread', async () => {
    const { response } = await ask('x'.repeat(2_000));
    expect(response.headers.get('x-cutover-provider')).toBe('old');
  });

  it('opens no tunnel', async () => {
    const socket = new WebSocket(`${gateway.dataUrl.replace('http', 'ws')}/v1/realtime?model=x`);
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.on('error', () => {});
    });
    expect(status).toBe(503);
  });
});
