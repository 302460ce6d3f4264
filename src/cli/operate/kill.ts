import { lookup } from 'node:dns/promises';
import type { Command } from 'commander';
import { adminClientTls } from '../../adapters/admin-client-tls';
import { GatewayAdmin } from '../../adapters/gateway-admin';
import { discoverGateways } from '../../adapters/gateway-discovery';
import { configurationPath, loadConfiguration, resolveSecret } from '../../config';
import type { Configuration } from '../../core/configuration/configuration-schema';
import type { FoundGateway } from '../../core/routing/gateway-identity';
import type { GatewayStatus } from '../../core/routing/routing';
import type { GatewayAnswer } from '../../ports';
import { CliError, EXIT } from '../options/cli-error';
import { type ConfirmationFlags, canAsk, confirm, withConfirmation } from '../options/confirmation';
import { routeOf } from '../options/connection';
import { recordedOperator } from '../options/operator-name';
import { printJson, printNote, printTable } from '../options/output';

interface KillOptions extends ConfirmationFlags {
  readonly clear?: boolean;
  readonly acceptSettled?: boolean;
  readonly reason: string;
  readonly gateway?: string;
  readonly config?: string;
}

interface KillResult {
  readonly gateway: FoundGateway;
  readonly answer: GatewayAnswer<GatewayStatus>;
}

/** Adds `cutover kill`: the gateways' own switch, which needs no Temporal. */
export function registerKill(program: Command): void {
  withConfirmation(
    program
      .command('kill')
      .description('set share 0 on every gateway at once and latch it; works with Temporal down')
      .argument('[route]', 'the route to take off the candidate; optional if only one is configured'),
  )
    .option(
      '--clear',
      'clear the latch instead; the gateway then obeys `settled` until a newer record is pushed',
    )
    .option('--accept-settled', 'with --clear: also where a gateway then serves the candidate by `settled`')
    .option('--reason <text>', 'why, for whoever reads the status', '')
    .option('--gateway <name>', 'only this gateway (default: all)')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nAt a terminal it asks first; --yes does not. A script is never asked.\n' +
        'Exit code 4: a gateway could not be reached. 5: the disk of one refused, so that a restart would forget it.\n' +
        'Then run it again: repeating it is safe.\n' +
        '\nExamples:\n  cutover kill main --yes --reason "wrong answers since 14:05"\n  cutover kill main --clear',
    )
    .action(runKill);
}

async function runKill(given: string | undefined, options: KillOptions): Promise<void> {
  const configuration = loadConfiguration(configurationPath(options.config));
  const route = routeOf(given, options);
  if (!Object.hasOwn(configuration.routes, route)) {
    const known = Object.keys(configuration.routes).join(', ');
    throw new CliError(`expected one of the routes (${known}), got "${route}"`, EXIT.badInput);
  }
  const found = await findGateways(configuration);
  if (options.clear !== true) await askAtTerminal(route, found, options);
  const tls = adminClientTls(configuration, resolveSecret);
  const admin = new GatewayAdmin({
    token: resolveSecret(configuration.adminToken),
    discover: async () => found,
    ...discoveryHostOf(configuration),
    ...(tls === undefined ? {} : { tls }),
  });
  const words = { by: recordedOperator('cli'), reason: options.reason };
  try {
    const gateways = await pickGateways(admin, route, found, options.gateway);
    if (options.clear === true && options.acceptSettled !== true) await refuseToRaise(admin, route, gateways);
    const results = await Promise.all(
      gateways.map(async (gateway) => ({
        gateway,
        answer: await (options.clear === true
          ? admin.clearKill(gateway, route, words)
          : admin.kill(gateway, route, words)),
      })),
    );
    if (options.json === true) printJson({ route, gateways: results.map(asJson) });
    else printTable(['GATEWAY', 'RESULT', 'SHARE', 'EPOCH', 'KILL SWITCH'], results.map(asRow));
    throwUnlessAllDone(results, options.clear === true);
  } finally {
    await admin.close();
  }
}

/** Only a person at a terminal is asked: what is scripted against a bad day waits for nobody. */
async function askAtTerminal(
  route: string,
  found: readonly FoundGateway[],
  options: KillOptions,
): Promise<void> {
  if (options.yes === true || !canAsk(options)) return;
  const names = options.gateway ?? found.map(({ name }) => name).join(', ');
  printNote(`${route}: share 0 at ${names} at once, and latched until \`cutover kill ${route} --clear\``);
  await confirm(`Take ${route} off the candidate?`, options);
}

/**
 * Without its latch a gateway obeys its configuration: the record that it held is withdrawn. Where that says
 * `settled: candidate`, clearing would send all of its traffic there at once.
 */
async function refuseToRaise(
  admin: GatewayAdmin,
  route: string,
  gateways: readonly FoundGateway[],
): Promise<void> {
  const answers = await Promise.all(gateways.map((gateway) => admin.status(gateway, route)));
  const raised = answers.flatMap((answer) =>
    answer.kind === 'ok' && answer.value.kill !== null && answer.value.settled === 'candidate'
      ? [answer.value.gateway]
      : [],
  );
  if (raised.length === 0) return;
  throw new CliError(
    `${raised.join(', ')} ${raised.length === 1 ? 'is' : 'are'} settled on the candidate and would serve it 100% of ${route} at once: nothing was cleared. To stay at legacy, set \`settled: legacy\` there, restart, and clear then; to go to the candidate, add --accept-settled`,
    EXIT.refused,
  );
}

async function findGateways(configuration: Configuration): Promise<readonly FoundGateway[]> {
  const found = await discoverGateways(configuration, (host) => lookup(host, { all: true })).catch(
    (cause: unknown) => {
      throw new CliError(`the gateways cannot be found: ${cause}`, EXIT.unreachable, { cause });
    },
  );
  if (found.length > 0) return found;
  throw new CliError('expected at least one gateway, none is configured', EXIT.badInput);
}

/** All of them without a name; with one, whoever reports it, and whoever is configured under it or has that address. */
async function pickGateways(
  admin: GatewayAdmin,
  route: string,
  found: readonly FoundGateway[],
  name: string | undefined,
): Promise<readonly FoundGateway[]> {
  // Nobody is asked first for who they are: a switch that is needed at once waits for nothing.
  if (name === undefined) return found;
  const known = await Promise.all(
    found.map(async (gateway) => {
      const answer = gateway.byAddress === true ? await admin.status(gateway, route) : null;
      return { ...gateway, reported: answer?.kind === 'ok' ? answer.value.gateway : gateway.name };
    }),
  );
  const picked = known.filter((gateway) => gateway.name === name || gateway.reported === name);
  if (picked.length > 0) return picked;
  const names = known.map(({ reported }) => reported).join(', ');
  throw new CliError(`expected one of the gateways (${names}), got "${name}"`, EXIT.badInput);
}

function discoveryHostOf({ gatewayDiscovery }: Configuration): { discoveryHost?: string } {
  return gatewayDiscovery === undefined ? {} : { discoveryHost: new URL(gatewayDiscovery.admin).hostname };
}

/** The name that the gateway reports, or by which it was found. */
function nameOf({ gateway: { name, byAddress }, answer }: KillResult): string {
  return byAddress === true && answer.kind === 'ok' ? answer.value.gateway || name : name;
}

function asJson(result: KillResult): object {
  const { answer } = result;
  const gateway = nameOf(result);
  switch (answer.kind) {
    case 'ok': {
      const { effectiveShare, record, kill, durable } = answer.value;
      return { gateway, result: 'done', effectiveShare, epoch: record?.epoch ?? 0, kill, durable };
    }
    case 'refused':
      return { gateway, result: 'refused', ...answer.refusal.error };
    case 'unreachable':
      return { gateway, result: 'unreachable', reason: answer.reason };
  }
}

function asRow(result: KillResult): string[] {
  const { answer } = result;
  const gateway = nameOf(result);
  switch (answer.kind) {
    case 'ok': {
      const { effectiveShare, record, kill, durable } = answer.value;
      const latch = kill === null ? 'clear' : `set by ${kill.by} at ${kill.at}`;
      const done = durable === false ? 'done, in memory only: the disk refused' : 'done';
      return [gateway, done, `${effectiveShare * 100}%`, String(record?.epoch ?? 0), latch];
    }
    case 'refused':
      return [gateway, `refused: ${answer.refusal.error.message}`, '?', '?', '?'];
    case 'unreachable':
      return [gateway, `not reached: ${answer.reason}`, '?', '?', '?'];
  }
}

/** Ends with every problem in one message; the exit code is the one of the gravest. */
function throwUnlessAllDone(results: readonly KillResult[], isClear: boolean): void {
  const namesOf = (kind: 'unreachable' | 'refused' | 'in memory only') =>
    results.filter(({ answer }) => problemOf(answer) === kind).map(nameOf);
  const unreachable = namesOf('unreachable');
  const refused = namesOf('refused');
  const inMemory = namesOf('in memory only').join(', ');
  const problems = [
    ...(unreachable.length === 0
      ? []
      : [
          `could not reach ${unreachable.join(', ')}: the switch is not known to be ${isClear ? 'cleared' : 'set'} there; run this again, or stop them`,
        ]),
    ...(refused.length === 0 ? [] : [`refused by ${refused.join(', ')}`]),
    ...(inMemory === '' ? [] : [isClear ? clearedInMemory(inMemory) : killedInMemory(inMemory)]),
  ];
  if (problems.length === 0) return;
  const exitCode =
    unreachable.length > 0 ? EXIT.unreachable : refused.length > 0 ? EXIT.refused : EXIT.negative;
  throw new CliError(problems.join('\n'), exitCode);
}

function problemOf(
  answer: GatewayAnswer<GatewayStatus>,
): 'unreachable' | 'refused' | 'in memory only' | null {
  if (answer.kind !== 'ok') return answer.kind;
  return answer.value.durable === false ? 'in memory only' : null;
}

function killedInMemory(names: string): string {
  return `the switch is set at ${names} in memory only, because the disk refuses to keep it: nothing goes to the candidate now, but a restart would forget the switch. Make the state directory writable, do not restart the gateway before, and run this again until it exits with 0`;
}

function clearedInMemory(names: string): string {
  return `the switch is cleared at ${names} in memory only, because the disk refuses to keep that: a restart would set it again. Make the state directory writable and run this again until it exits with 0`;
}
