import type { Command } from 'commander';
import { MigrationClient } from '../../client';
import { resolveSecret } from '../../config';
import { openConsole } from '../../console/server/open-console';
import { connectLazily } from '../../console/source/console-client';
import { failedLoginText } from '../../core/access/failed-logins';
import { openListenerTls } from '../../gateway/sockets/listener-tls';
import { readMigration } from '../../history/recorded-migration';
import { renderReport } from '../../history/write-report';
import { fetchDocument } from '../history/history-source';
import { type ConnectionFlags, connectOptions, withConnection } from '../options/connection';
import { recordedOperator } from '../options/operator-name';
import { durationOf, portNumber } from '../options/option-value';
import { printJson, printLine, printNote } from '../options/output';
import { asTyped } from '../options/typed-command';
import { consoleHosts, consoleIdentity } from './console-identity';
import { consoleParts } from './console-parts';
import { explainedListenProblem } from './port-taken';
import { untilStopped } from './until-stopped';

interface UiFlags extends ConnectionFlags {
  readonly port: number;
  readonly host: string;
  readonly allowHost: readonly string[];
  readonly by?: string;
  readonly interval: number;
}

const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];

/** Adds `cutover ui`: the console as a web page, served until Ctrl-C. */
export function registerUi(program: Command): void {
  withConnection(
    program.command('ui').description('serve a web page with all migrations, live, and their commands'),
  )
    .option('--port <port>', 'where to listen; 0 takes a free one', portNumber, 8421)
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--allow-host <name>', 'another name that the page is reached by; may be repeated', collect, [])
    .option('--by <name>', 'who gives the commands on this page, recorded alongside the user that runs it')
    .option('--interval <duration>', 'how often to look at an open migration', interval, 1_000)
    .addHelpText(
      'after',
      '\nThe address that it prints bears a token: whoever has it can read everything and give commands. It changes at every start.\n' +
        'With `console.identity` in the configuration people log in by name instead, as operators or viewers (docs/console.md).\n' +
        'It starts without Temporal as well, and shows that it waits.\n' +
        '\nExamples:\n  cutover ui\n  cutover ui --port 9000 --config cutover.yaml\n  ssh -L 8421:127.0.0.1:8421 host   # then open the printed address here',
    )
    .action(runUi);
}

async function runUi(flags: UiFlags): Promise<void> {
  const parts = consoleParts(flags.config);
  const { gateways, providersOf, readPlan, tls: configured } = parts;
  const identity = consoleIdentity(parts.console, resolveSecret, printNote);
  const tls = openListenerTls('tls.console', configured.console, { resolveSecret, warn: printNote });
  const { host, port: wanted } = flags;
  const client = connectLazily(() => MigrationClient.connect(connectOptions(flags)));
  const running = await openConsole({
    asTyped,
    client,
    gateways,
    providersOf,
    readPlan,
    by: (name) => recordedOperator('ui', name ?? flags.by),
    identity,
    host,
    port: wanted,
    hosts: [...flags.allowHost, ...consoleHosts(parts.console)],
    tls,
    intervalMs: flags.interval,
    loginFailed: (failure) => printNote(failedLoginText(failure)),
    report: async (route, runId) => {
      const document = await fetchDocument(await client(), route, runId === null ? {} : { run: runId });
      return renderReport(readMigration(document), Date.now()).html;
    },
  }).catch((error: unknown) => {
    throw explainedListenProblem(error, 'choose another --port (0 takes a free one) or --host');
  });
  const { url, token } = running;
  // Where people log in by name the token opens nothing.
  if (flags.json === true) printJson(identity === null ? { url, token } : { url });
  else printLine(identity === null ? `${url}#token=${token}` : url);
  if (tls === null && !LOOPBACK.includes(host)) {
    printNote(
      'this page is plain HTTP on a network: configure tls.console, or use --host 127.0.0.1 and ssh -L',
    );
  }
  printNote('open it in a browser; Ctrl-C stops it');
  client().catch((error: Error) => printNote(`${error.message}; still trying`));
  await untilStopped([
    {
      stopped: new Promise(() => undefined),
      stop: async () => {
        await running.stop();
        await gateways?.close();
        await client().then(
          (connected) => connected.close(),
          () => undefined,
        );
      },
    },
  ]);
}

const interval = durationOf('a duration of at least 200ms, such as 2s', { leastMs: 200 });

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
