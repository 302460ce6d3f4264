import { type Command, Option } from 'commander';
import { CannotTrain } from '../../demo/fine-tuned';
import { DemoInterrupted, runDemo } from '../../demo/run-demo';
import { DEMO_SCENARIOS, type DemoScenario } from '../../demo/scenarios';
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
      const say = options.json === true ? printNote : printLine;
      const { signal: interrupted, release } = untilInterrupted();
      const { scenario, keep = false, ui = false } = options;
      const result = await runDemo({ scenario, say, keep, ui, interrupted }).catch((error: unknown) => {
        if (error instanceof DemoInterrupted) throw new CliError(error.message, EXIT.failure);
        throw error instanceof CannotTrain ? new CliError(error.message, EXIT.badInput) : error;
      });
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
