import { ratesOf } from '../../../src/core/evidence/rate-row';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import { type Fault, status, well } from '../../support/providers/fault-provider';

const REQUESTS = 1_500;
const AT_ONCE = 16;

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeEach(async () => {
  gateway = await trial.start({
    settings: { breaker: { open: '50ms', openMax: '100ms' } },
    route: { replayBudget: { ratio: 1, burst: 10_000 } },
  });
  await gateway.route(0.5);
});

async function load(requests = REQUESTS): Promise<void> {
  const client = gateway.client();
  const ask = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello?' }] };
  let left = requests;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      await client.chat.completions.create(ask).catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
}

/** How many standard errors lie between the failure rates of the arms. */
function distance(): number {
  const [asked, failures, moved, failed] = ratesOf(gateway.cells().filter(({ kind }) => kind === 'live'));
  const rate = (failures + failed) / (asked + moved);
  const error = Math.sqrt(rate * (1 - rate) * (1 / asked + 1 / moved));
  return Math.abs(failed / moved - failures / asked) / error;
}

function shedOf(arm: 'legacy' | 'candidate'): number {
  return gateway
    .cells()
    .filter((cell) => cell.kind === 'live' && cell.side === arm)
    .reduce((sum, { failures }) => sum + (failures.shed ?? 0), 0);
}

/** Busy once in thirty, and then asks to be left alone. */
function busy(seed: number): Fault {
  const random = seededRandom(seed);
  const refusal: Fault = ({ response }) => {
    response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '0.1' });
    response.end('{"error":{"message":"slow down"}}');
  };
  return (exchange) => (random() < 1 / 30 ? refusal : well)(exchange);
}

it('have the same failure rate where both providers refuse alike and ask to be left alone', async () => {
  [legacy.fault, candidate.fault] = [busy(1), busy(2)];
  await load();
  expect(shedOf('candidate')).toBeGreaterThan(0);
  expect(shedOf('legacy')).toBeGreaterThan(0);
  expect(distance()).toBeLessThan(4);
});

it('have the same failure rate where both providers are out for a while', async () => {
  await load(500);
  [legacy.fault, candidate.fault] = [status(503), status(503)];
  await load(400);
  [legacy.fault, candidate.fault] = [well, well];
  await load(500);
  expect(shedOf('candidate')).toBeGreaterThan(0);
  expect(distance()).toBeLessThan(4);
});

it('have the same failure rate where both providers refuse at random what they would accept', async () => {
  const atRandom = (seed: number): Fault => {
    const random = seededRandom(seed);
    return (exchange) => (random() < 0.05 ? status(404) : well)(exchange);
  };
  [legacy.fault, candidate.fault] = [atRandom(3), atRandom(4)];
  await load();
  const rejected = gateway
    .cells()
    .filter(({ kind }) => kind === 'live')
    .map(({ side, failures }) => [side, failures.rejected ?? 0]);
  expect(Object.fromEntries(rejected)).toEqual({ legacy: expect.any(Number), candidate: expect.any(Number) });
  expect(Math.min(...rejected.map(([, count]) => Number(count)))).toBeGreaterThan(10);
  expect(distance()).toBeLessThan(4);
});

it("count what legacy refuses again as nobody's failure, and answer with the first refusal", async () => {
  legacy.fault = status(404);
  await gateway.route(0);
  const answer = gateway
    .client()
    .chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'x' }] });
  await expect(answer).rejects.toMatchObject({ status: 404 });
  await load(20);
  const [, failures] = ratesOf(gateway.cells().filter(({ kind }) => kind === 'live'));
  expect(failures).toBe(0);
});

it('still shows a candidate that always fails by the requests that were sent', async () => {
  candidate.fault = status(500);
  await load(300);
  const [, failures, moved, failed] = ratesOf(gateway.cells().filter(({ kind }) => kind === 'live'));
  expect(failures).toBe(0);
  expect(failed).toBe(moved);
  expect(failed).toBeGreaterThanOrEqual(5);
});
