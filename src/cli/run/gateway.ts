import type { Command } from 'commander';
import { configurationPath, environment, loadConfiguration } from '../../config';
import { exitAtTheLatest, keepCollectionsShort, serveOn } from '../../gateway/gateway-process';
import { type RunningGateway, startGatewayServer } from '../../gateway/main';
import { refuseUnknownGateway } from '../../gateway/routing/configured-gateway';
import { isGatewayName } from '../../gateway/routing/gateway-name';
import { CliError, EXIT } from '../options/cli-error';
import { listenAddress } from '../options/option-value';
import { printJson, printNote } from '../options/output';
import { explainedListenProblem } from './port-taken';
import { stateDirectoryNote } from './state-directory';
import { untilStopped } from './until-stopped';

interface GatewayFlags {
  readonly config?: string;
  readonly name?: string;
  readonly data?: string;
  readonly admin?: string;
  readonly log: string;
  readonly json?: true;
}

/** `cutover gateway`: serves traffic until it is told to stop; needs no Temporal. */
export function registerGateway(program: Command): void {
  program
    .command('gateway')
    .description('run one gateway: the data listener that splits traffic, and its admin listener')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option(
      '--name <gateway>',
      'the name that it is known by (default: CUTOVER_GATEWAY_NAME, the only one of the configuration, the name that its state directory keeps, or the host name)',
    )
    .option('--data <host:port>', 'data listener (default: from the configuration, or 127.0.0.1:8080)')
    .option('--admin <host:port>', 'admin listener (default: from the configuration, or 127.0.0.1:8081)')
    .option('--log <target>', 'request log: stdout, none, or a file', 'stdout')
    .option('--json', 'print the addresses as one JSON line once it serves')
    .addHelpText(
      'after',
      '\nSIGHUP, and POST /admin/v1/reload, have it read its configuration again: callers, credentials, and how providers\n' +
        'are asked. Anything else needs a restart, and is refused by name.\n' +
        '\nExamples:\n  $ cutover gateway --config cutover.yaml\n  $ cutover gateway --name replica-1 --data 0.0.0.0:8080 --admin 0.0.0.0:8081',
    )
    .action(async (flags: GatewayFlags) => {
      keepCollectionsShort();
      const gateway = await start(flags);
      const { name, dataUrl, adminUrl } = gateway;
      if (flags.json) printJson({ name, dataUrl, adminUrl });
      else printNote(`gateway ${name}: ${dataUrl}, admin ${adminUrl}; Ctrl-C stops it`);
      serveOn(gateway.defects);
      // Its log says what came of it.
      process.on('SIGHUP', () => void gateway.reload?.());
      const stop = () => {
        exitAtTheLatest(gateway.drainMs, () => printNote('the gateway did not stop in time: it ends now'));
        return gateway.stop();
      };
      await untilStopped([{ stopped: new Promise(() => {}), stop }]);
    });
}

async function start(flags: GatewayFlags): Promise<RunningGateway> {
  const configuration = loadConfiguration(configurationPath(flags.config));
  const note = await stateDirectoryNote(configuration);
  if (note !== null) printNote(note);
  const name = flags.name ?? environment['CUTOVER_GATEWAY_NAME'];
  refuseUnknownGateway(name, configuration, flags.data !== undefined && flags.admin !== undefined);
  try {
    return await startGatewayServer({
      configuration,
      readConfiguration: () => loadConfiguration(configurationPath(flags.config)),
      ...(name === undefined ? {} : { name: checkedName(name) }),
      ...(flags.data === undefined ? {} : { data: listenAddress(flags.data) }),
      ...(flags.admin === undefined ? {} : { admin: listenAddress(flags.admin) }),
      log: flags.log === 'stdout' || flags.log === 'none' ? flags.log : { file: flags.log },
    });
  } catch (error) {
    throw explainedListenProblem(error, 'stop what uses it, or choose another --data or --admin');
  }
}

function checkedName(name: string): string {
  if (isGatewayName(name)) return name;
  throw new CliError(
    `expected the gateway's name (--name or CUTOVER_GATEWAY_NAME) to be letters, digits, dot, dash, underscore or colon, at most 200, got ${JSON.stringify(name.slice(0, 60))}`,
    EXIT.badInput,
  );
}
