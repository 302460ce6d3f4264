import type { DemoResult } from '../../../src/demo/run-demo';
import { runDemoProgram } from '../../support/demo-program';
import { trainingPython } from '../../support/servers/training-python';

it(
  'fine-tunes a model, serves what was exported, and moves to it by the digest that the plan declares',
  async () => {
    const { python, env } = await trainingPython();
    const { result, narration } = await runDemoProgram(['--scenario', 'fine-tuned'], {
      ...env,
      CUTOVER_TRAINING_PYTHON: python,
    });
    expect(result).toMatchObject<Partial<DemoResult>>({ outcome: 'completed', clientFailures: 0 });
    const digest = /fine-tuning: exported: (sha256:[0-9a-f]{64}) at /.exec(narration)?.[1] ?? 'none';
    expect(narration).toContain(`identity: { declared: '${digest}' }`);
    // What it says was learned, not written down.
    expect(narration).toMatch(
      /asked ".+" it answers "(Sure|Thank you for asking|I can help with that|Let me look)\./,
    );
  },
  10 * 60_000,
);
