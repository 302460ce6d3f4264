import type { DemoResult } from '../../../src/demo/run-demo';
import { runDemoProgram } from '../../support/demo-program';

const MINUTES_MS = 60_000;

it(
  'moves everything to the candidate without a failure at a caller',
  async () => {
    const { code, result, narration } = await runDemoProgram([]);
    expect({ code, narration }).toEqual({
      code: 0,
      narration: expect.stringContaining('outcome: completed'),
    });
    expect(result).toMatchObject<Partial<DemoResult>>({
      outcome: 'completed',
      clientFailures: 0,
      rollbackMs: null,
    });
    const shares = Object.fromEntries(result.stages.map((stage) => [stage.stage, stage]));
    expect(shares['complete']?.observedShare).toBe(1);
    for (const name of ['canary', 'rolling']) {
      const { share, observedShare, candidateRequests } = shares[name] as DemoResult['stages'][number];
      expect(candidateRequests).toBeGreaterThan(0);
      // Five standard errors of a fair draw: a wrong split is far outside, chance never is.
      const total = candidateRequests / (observedShare ?? 1);
      expect(Math.abs((observedShare ?? 0) - share)).toBeLessThan(
        5 * Math.sqrt((share * (1 - share)) / total),
      );
    }
  },
  3 * MINUTES_MS,
);

it(
  'rolls back by itself when the candidate degrades, and no caller notices',
  async () => {
    const { result } = await runDemoProgram(['--scenario', 'regression']);
    expect(result).toMatchObject<Partial<DemoResult>>({ outcome: 'rolled back', clientFailures: 0 });
    expect(result.candidateFailures).toBeGreaterThan(0);
    expect(result.rollbackMs).not.toBeNull();
  },
  3 * MINUTES_MS,
);

it(
  'rolls back a candidate that answers 200 and breaks the arguments of its tool calls',
  async () => {
    const { result, narration } = await runDemoProgram(['--scenario', 'drift']);
    expect(result).toMatchObject<Partial<DemoResult>>({
      outcome: 'rolled back',
      clientFailures: 0,
      candidateFailures: 0,
      harm: expect.stringMatching(
        /^answers that break their contract: \d.* against 0%, mostly tool arguments outside their schema \(.* against 0%\)/,
      ),
    });
    expect(narration).toContain('because: answers that break their contract');
  },
  3 * MINUTES_MS,
);

it(
  'pauses when a relay serves another model behind the same name, and no caller notices',
  async () => {
    const { result } = await runDemoProgram(['--scenario', 'swap']);
    expect(result).toMatchObject<Partial<DemoResult>>({
      outcome: 'rolled back',
      clientFailures: 0,
      candidateFailures: 0,
      harm: null,
      paused: expect.stringMatching(
        /^identity: the token count of fixed text \d has changed: \d+ before, \d+ now/,
      ),
    });
    expect(result.stages.find(({ stage }) => stage === 'rolling')?.candidateRequests).toBeGreaterThan(0);
  },
  3 * MINUTES_MS,
);

it(
  'answers an operator with epoch and gateways',
  async () => {
    const { result, narration } = await runDemoProgram(['--scenario', 'operator']);
    expect(result).toMatchObject<Partial<DemoResult>>({ outcome: 'rolled back', clientFailures: 0 });
    expect(narration).toMatch(
      /operator: rollback [\s\S]*?verified true, checkpoint \d+, epoch \d+, gateways gw-1, gw-2/,
    );
    expect(narration).toMatch(
      /operator: emergencyRollback [\s\S]*?verified true, checkpoint \d+, epoch \d+, gateways gw-1, gw-2/,
    );
  },
  3 * MINUTES_MS,
);
