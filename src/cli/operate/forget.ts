import type { Command } from 'commander';
import { CliError, EXIT } from '../options/cli-error';
import { forOperator, forRoute, type OperatorFlags, routeOf } from '../options/connection';
import { send } from './commands';
import { readConfiguredGateways } from './gateway-answers';

/** Adds `cutover forget`: the only way out for a gateway that is gone while it may hold a pinned record. */
export function registerForget(program: Command): void {
  forOperator(
    forRoute(
      program
        .command('forget')
        .description('attest that a gateway is gone for good: the migration no longer waits for it')
        .argument('<gateway>', 'its name, as `cutover status` shows it'),
    ),
  )
    .addHelpText(
      'after',
      '\nNeeds --reason. Refused where the gateway answers, and for the last one. If it still runs somewhere, it may keep\n' +
        "serving the candidate from a pinned record unnoticed; the migration's record says so.\n" +
        '\nExample:\n  cutover forget gw-2 chat --reason "its node was taken out of the cluster"',
    )
    .action(runForget);
}

async function runForget(gateway: string, given: string | undefined, flags: OperatorFlags): Promise<void> {
  if (flags.reason === '') {
    throw new CliError(
      'expected --reason: it is recorded why the gateway is gone for good, got none',
      EXIT.badInput,
    );
  }
  const route = routeOf(given, flags);
  const { gateways } = await readConfiguredGateways(flags.config, route);
  const here = gateways.find(({ name }) => name === gateway);
  // The migration knows who answered when it asked last: this is now.
  if (here?.isAlive === true) {
    throw new CliError(
      `${gateway} answers at ${here.admin}: only a gateway that is gone for good can be forgotten; stop it first`,
      EXIT.refused,
    );
  }
  return send('forget', route, flags, { gateway });
}
