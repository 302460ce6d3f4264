import { join } from 'node:path';
import fc from 'fast-check';
import type { CandidatePermit } from '../../../src/gateway/routing/candidate-permits';
import { TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';

/**
 * Random lives of one route: pushes right and wrong, renewals fresh and late, kills, restarts, stops of the
 * clock, attempts sent and closed. The invariants are PROTOCOL's, checked against a model that only knows
 * what was granted.
 */

type Step =
  | { readonly kind: 'push'; readonly share: number; readonly pinned: boolean; readonly jump: number }
  | { readonly kind: 'late push'; readonly share: number; readonly delayMs: number }
  | { readonly kind: 'renew'; readonly delayMs: number }
  | { readonly kind: 'advance'; readonly durationMs: number }
  | { readonly kind: 'attempt' }
  | { readonly kind: 'send' }
  | { readonly kind: 'kill' }
  | { readonly kind: 'clear' }
  | { readonly kind: 'restart' };

const LEASE_MS = 45_000;
const share = fc.constantFrom(0, 0.1, 0.5, 1);
const durationMs = fc.integer({ min: 0, max: 2 * LEASE_MS });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('push' as const),
    share,
    pinned: fc.boolean(),
    jump: fc.integer({ min: -1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('late push' as const), share, delayMs: durationMs }),
  fc.record({ kind: fc.constant('renew' as const), delayMs: durationMs }),
  fc.record({ kind: fc.constant('advance' as const), durationMs }),
  fc.constantFrom<Step>(
    { kind: 'attempt' },
    { kind: 'send' },
    { kind: 'kill' },
    { kind: 'clear' },
    { kind: 'restart' },
  ),
);

/** What a route may do at most, from the grants it has taken. */
interface Model {
  epoch: number;
  share: number;
  pinned: boolean;
  grantedUntilMs: number;
  killed: boolean;
  withdrawn: boolean;
  /** No attempt below this epoch may be sent any more: a lowering to 0 above it was confirmed. */
  fence: number;
}

const root = temporaryDirectory();
let lives = 0;

async function live(steps: readonly Step[]): Promise<void> {
  lives += 1;
  const directory = join(root, String(lives));
  const clock = new TestClock();
  let gateway = new TestGateway({ directory, clock });
  const model: Model = {
    epoch: 0,
    share: 0,
    pinned: false,
    grantedUntilMs: 0,
    killed: false,
    withdrawn: false,
    fence: 0,
  };
  let attempts: { permit: CandidatePermit; epoch: number }[] = [];

  const push = async (wanted: { share: number; pinned: boolean; jump: number; delayMs: number }) => {
    const asOfMs = clock.now();
    const epoch = Math.max(1, gateway.state.status().highestEpoch + wanted.jump);
    const request = gateway.pushRequest({ share: wanted.share, pinned: wanted.pinned, epoch });
    clock.advance(wanted.delayMs);
    const answer = await gateway.state.push(request);
    if ('code' in answer) return;
    expect(epoch).toBeGreaterThanOrEqual(model.epoch);
    expect(model.killed && wanted.share > 0).toBe(false);
    if (wanted.share > 0) expect(wanted.delayMs).toBeLessThan(LEASE_MS);
    const regrant = epoch === model.epoch;
    const until = asOfMs + LEASE_MS;
    Object.assign(model, {
      epoch,
      share: wanted.share,
      pinned: wanted.pinned,
      grantedUntilMs: regrant ? Math.max(model.grantedUntilMs, until) : until,
      withdrawn: false,
    });
    if (wanted.share === 0 && answer.confirmed) model.fence = epoch;
  };

  for (const each of steps) {
    switch (each.kind) {
      case 'push':
        await push({ ...each, delayMs: 0 });
        break;
      case 'late push':
        await push({ share: each.share, pinned: false, jump: 1, delayMs: each.delayMs });
        break;
      case 'renew': {
        const asOfMs = clock.now();
        clock.advance(each.delayMs);
        const answer = gateway.state.renew({ incarnation: gateway.incarnation, asOfMs, epoch: model.epoch });
        if ('code' in answer) break;
        expect(model.killed || model.withdrawn).toBe(false);
        expect(each.delayMs).toBeLessThan(LEASE_MS);
        model.grantedUntilMs = Math.max(model.grantedUntilMs, asOfMs + LEASE_MS);
        break;
      }
      case 'advance':
        clock.advance(each.durationMs);
        break;
      case 'attempt':
        attempts.push({ permit: gateway.state.permit(model.epoch), epoch: model.epoch });
        break;
      case 'send':
        for (const { permit, epoch } of attempts) {
          if (permit.send()) expect(epoch).toBeGreaterThanOrEqual(model.fence);
          permit.close();
        }
        attempts = [];
        break;
      case 'kill':
        await gateway.state.kill({ by: 'ada', reason: '', at: 'now' });
        if (!model.killed) model.withdrawn = model.epoch > 0;
        model.killed = true;
        break;
      case 'clear':
        await gateway.state.clearKill();
        model.killed = false;
        break;
      case 'restart':
        gateway.state.close();
        gateway = new TestGateway({ directory, clock });
        model.grantedUntilMs = 0;
        attempts = [];
        break;
    }
    const granted = model.pinned || clock.now() < model.grantedUntilMs;
    const expected = model.killed || model.withdrawn || !granted ? 0 : model.share;
    const status = gateway.state.status();
    expect(status.effectiveShare).toBe(expected);
    expect(status.highestEpoch).toBe(model.epoch);
    expect(status.kill !== null).toBe(model.killed);
    expect(gateway.state.draw('key', '').epoch).toBe(model.epoch);
    if (expected === 0) expect(gateway.state.draw('key', '').arm).toBe('legacy');
  }
  gateway.state.close();
}

describe('a route', () => {
  it('serves exactly what was granted, whatever happens in whatever order', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 25 }), live), { numRuns: 300 });
  });
});
