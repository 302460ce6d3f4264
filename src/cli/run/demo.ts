import { type Command, Option } from 'commander';
import { DEMO_SCENARIOS, type DemoScenario } from '../../demo/scenarios';
import { loadOptional } from '../../optional-package';
import { CliError, EXIT } from '../options/cli-error';
import { printJson, printLine, printNote } from '../options/output';
import { untilInterrupted } from './until-interrupted';

/** `cutover demo`: two local providers, a load, gateways, worker and Temporal; one migration from start to end. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('move live traffic between two local providers under a real Temporal workflow')
    .addOption(new Option('--scenario <name>', 'what happens').choices(DEMO_SCENARIOS).default('default'))
    .option('--keep', 'leave everything running at the end, until Ctrl-C')
    .option('--ui', 'serve the web console as well, and print its address')
    .option('--json', 'narrate to standard error and end with one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ cutover demo\n  $ cutover demo --ui --keep\n  $ cutover demo --scenario regression --json\n  $ cutover demo --scenario fine-tuned\n\nExits 0 when the scenario ended as it should, 5 when not, 1 when it was interrupted.',
    )
    .action(async (options: { scenario: DemoScenario; keep?: boolean; ui?: boolean; json?: boolean }) => {
      const { runDemo } = await loadOptional(
        () => import('../../demo/run-demo.js'),
        'the demo needs @temporalio/worker',
        ['@temporalio/worker', '@temporalio/testing'],
      );
      const say = options.json === true ? printNote : printLine;
      const { signal: interrupted, release } = untilInterrupted();
      const { scenario, keep = false, ui = false } = options;
      const result = await runDemo({ scenario, say, keep, ui, interrupted });
      release();
      if (options.json === true) printJson(result);
      const expected = ['default', 'fine-tuned'].includes(options.scenario) ? 'completed' : 'rolled back';
      if (result.outcome !== expected || result.clientFailures > 0) {
        throw new CliError(
          `expected the outcome ${expected} and no failure at a caller, got ${result.outcome} and ${result.clientFailures}`,
          EXIT.negative,
        );
      }
    });
}
