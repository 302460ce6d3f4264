import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { runCli } from '../support/cli';
import { configurationDocument, folderWith } from '../support/migrations/migration-fixture';

let folder: string;
let closed: string;

beforeAll(async () => {
  folder = folderWith({
    'cutover.yaml': JSON.stringify(configurationDocument(['chat'])),
    'two-routes.yaml': JSON.stringify(configurationDocument(['chat', 'search'])),
    'broken.yaml': 'providers: {',
    'over.yaml':
      'route: chat\nstages:\n  - name: assess\n  - name: canary\n    share: 140%\n  - name: complete\n',
    'twice.yaml': 'route: chat\nstages: [{name: assess}, {name: canary}, {name: canary}, {name: complete}]\n',
    'unknown.yaml': 'route: chat\nstages: [{name: assess}, {name: canary, sahre: 0.1}, {name: complete}]\n',
    'routeless.yaml': 'lease: 45s\n',
    'doubled.yaml': 'route: chat\nlease: 45s\nroute: search\n',
    'tabs.yaml': 'route: chat\nprobes:\n\tinterval: 5s\n',
    'empty.yaml': '\n',
    'utf16.yaml': 'r\0o\0u\0t\0e\0:\0 \0c\0h\0a\0t\0',
    'choice.yaml': 'route: chat\nprofile: smal\n',
    'colons.yaml': 'route: chat: main\n',
    'elsewhere.yaml': 'route: nowhere\n',
    'stage.yaml': 'route: chat\nstage:\n  - name: assess\n',
    'merged.yaml':
      'route: chat\nstages:\n  - name: assess\n    gates: &wide\n      eror: 1\n  - { name: canary, share: 0.1, gates: *wide }\n  - name: complete\n',
    'good.yaml': 'route: chat\n',
  });
  const listener = createServer();
  const port = await new Promise<number>((resolve) => {
    listener.listen(0, '127.0.0.1', () => resolve((listener.address() as { port: number }).port));
  });
  await new Promise((resolve) => listener.close(resolve));
  closed = `127.0.0.1:${port}`;
});
afterAll(() => rm(folder, { recursive: true }));

const run = (args: readonly string[], env?: Record<string, string>) =>
  runCli(args, { cwd: folder, ...(env === undefined ? {} : { env }) });

it.each([
  [['plan', 'check', 'over.yaml'], 'stages[1].share: expected a share from 0 to 1'],
  [['plan', 'check', 'twice.yaml'], 'expected names that differ, got "canary" twice'],
  [
    ['plan', 'check', 'unknown.yaml'],
    'line 2, column 41: stages[1].sahre: unknown field: did you mean `share`?',
  ],
  [['plan', 'check', 'routeless.yaml'], 'route: '],
  [
    ['plan', 'check', 'absent.yaml'],
    'cannot read absent.yaml: there is no such file: `cutover plan init ROUTE` writes one',
  ],
  [['plan', 'check', 'broken.yaml'], 'line 1, column 13: is neither YAML nor JSON'],
  [['plan', 'check', 'doubled.yaml'], 'line 3, column 1: has the field route twice: keep one of them'],
  [['plan', 'check', 'tabs.yaml'], 'this line is indented by a tab: use spaces'],
  [['plan', 'check', 'colons.yaml'], 'put a text that contains ": " into quotes'],
  [['plan', 'check', '.'], 'cannot read .: it is a folder'],
  [['plan', 'check', 'empty.yaml'], 'empty.yaml is empty: `cutover plan init ROUTE` writes one'],
  [['plan', 'check', 'utf16.yaml'], 'is not text in UTF-8: save it in that encoding'],
  [['plan', 'check', 'choice.yaml'], 'profile: expected standard or small, got "smal": did you mean small?'],
  [['plan', 'check', 'stage.yaml'], 'line 2, column 1: stage: unknown field: did you mean `stages`?'],
  [
    ['plan', 'check', 'merged.yaml'],
    'line 5, column 7: stages[1].gates.eror: unknown field: did you mean `errors`?',
  ],
  [['plan', 'check', 'elsewhere.yaml'], 'expected one of the routes of cutover.yaml (chat), got "nowhere"'],
  [['plan', 'init', 'Not A Name'], 'expected a name'],
  [['start', '--plan', 'over.yaml'], 'expected a share from 0 to 1'],
  [['start', 'search', '--plan', 'good.yaml'], 'expected the route of good.yaml ("chat"), got "search"'],
  [
    ['start', '--config', 'absent.yaml'],
    'cannot read absent.yaml: there is no such file: `cutover init` writes one, --config or CUTOVER_CONFIG names another',
  ],
  [['start', '--config', 'broken.yaml'], 'is neither YAML nor JSON'],
  [['status', '--config', 'two-routes.yaml'], 'expected a route: two-routes.yaml has chat, search'],
  [['status', '../chat'], 'expected a name'],
  [['rollback', 'chat', '--to', 'yesterday'], 'expected a checkpoint number, or `previous`'],
  [['watch', 'chat', '--interval', '1'], 'expected a duration of at least 100ms'],
  [['promote'], "missing required argument 'stage'"],
  [['kill', '--config', 'two-routes.yaml'], 'expected a route: two-routes.yaml has chat, search'],
  [['plan', 'init', '--out', 'good.yaml'], 'it is there already'],
  [
    ['up', '--gateway', 'gw1'],
    'expected one of the gateways of the configuration (gw-1, gw-2), got "gw1": did you mean gw-1?',
  ],
  [
    ['gateway', '--name', 'gw-9'],
    'expected one of the gateways of the configuration (gw-1, gw-2), got "gw-9"',
  ],
  [['kill', 'chat', '--gateway', 'gw-9'], 'expected a secret at env:CUTOVER_ADMIN_TOKEN'],
  [['status', 'chat', '--nonsense'], "unknown option '--nonsense'"],
  [['stauts'], "unknown command 'stauts'"],
])('answers %j with what was expected and exit code 2', async (args, message) => {
  const { code, stdout, stderr } = await run(args);
  expect(stderr).toContain(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).not.toMatch(/^\s+at /m);
});

it('expects a route where there is no configuration to take it from', async () => {
  const empty = folderWith({});
  const { code, stderr } = await runCli(['status'], { cwd: empty });
  await rm(empty, { recursive: true });
  expect(stderr).toBe(
    'expected a route: none was given, and there is no ./cutover.yaml to take it from: name it, or write one with `cutover init`\n',
  );
  expect(code).toBe(2);
});

it('says in one line that Temporal is not there', async () => {
  const commands = ['start chat', 'pause chat', 'watch chat', 'checkpoints chat --json'];
  const results = await Promise.all(
    commands.map((command) => run([...command.split(' '), '--address', closed])),
  );
  for (const { code, stdout, stderr } of results) {
    expect(stderr).toMatch(new RegExp(`^cannot use Temporal at ${closed}: nothing listens there: .*\n$`));
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
  }
});

it('says of a status first that it is still asking, and then why it could not', async () => {
  const { code, stderr } = await run(['status', 'chat', '--address', closed]);
  expect(stderr).toMatch(
    new RegExp(
      `^the migration has not answered yet; still asking\nthe migration could not be asked: cannot use Temporal at ${closed}: nothing listens there: .*\n$`,
    ),
  );
  expect(code).toBe(4);
});

it('names the way without Temporal when a rollback cannot be sent', async () => {
  const { code, stderr } = await run(['emergency-rollback', 'chat'], { TEMPORAL_ADDRESS: closed });
  expect(stderr).toContain(`cannot use Temporal at ${closed}`);
  expect(stderr).toContain('`cutover kill chat` takes the candidate off now, without Temporal');
  expect(code).toBe(4);
});

it('refuses a Temporal profile that names no address', async () => {
  const { code, stderr } = await run(['status', 'chat'], { TEMPORAL_API_KEY: 'secret-canary' });
  expect(stderr).toContain('TEMPORAL_API_KEY is set, but no address');
  expect(stderr).not.toContain('secret-canary');
  expect(code).toBe(2);
});

it('shows characters that steer a terminal or turn the direction of text as escapes', async () => {
  const { stderr } = await run(['plan', 'check', 'a\u009b2J\u202e\u200b.yaml']);
  expect(stderr).toContain('a\\x9b2J\\u202e\\u200b.yaml');
  expect(stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});
