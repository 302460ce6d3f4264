import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';

const run = promisify(execFile);
const ROOT = join(__dirname, '..');

interface Workflow {
  readonly jobs: Record<
    string,
    {
      readonly strategy?: { readonly matrix: { readonly node: readonly string[] } };
      readonly steps: readonly { readonly run?: string }[];
    }
  >;
}

const workflow = (name: string): Workflow =>
  parse(readFileSync(join(ROOT, '.github', 'workflows', name), 'utf8')) as Workflow;

const commandsOf = ({ jobs }: Workflow): string[] =>
  Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run: command = [] }) => command));

describe('.github', () => {
  it('runs what decides whether a change lands, and nothing of its own', () => {
    expect(commandsOf(workflow('ci.yml'))).toEqual(['.ci/run']);
  });

  it('runs it on the oldest Node that package.json allows', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(workflow('ci.yml').jobs['run']?.strategy?.matrix.node).toContain(engines.node.replace('>=', ''));
  });

  it('publishes only what passed, with notes that say whether open migrations replay', () => {
    const commands = commandsOf(workflow('release.yml'));
    const place = (start: string) => commands.findIndex((command) => command.startsWith(start));
    expect(place('.ci/run')).toBe(0);
    expect(place('node dist/tools/release-notes.js')).toBeGreaterThan(0);
    expect(place('npm publish')).toBeGreaterThan(place('node dist/tools/release-notes.js'));
  });

  it('asks whoever reports a fault for what finds it', () => {
    const folder = join(ROOT, '.github', 'ISSUE_TEMPLATE');
    for (const file of readdirSync(folder)) parse(readFileSync(join(folder, file), 'utf8'));
    expect(readFileSync(join(folder, 'bug.yml'), 'utf8')).toContain('cutover doctor');
  });
});

describe('release-notes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-release-'));
  const tool = join(folder, 'dist', 'tools', 'release-notes.js');
  beforeAll(() => {
    mkdirSync(join(folder, 'dist', 'tools'), { recursive: true });
    cpSync(join(ROOT, 'dist', 'tools', 'release-notes.js'), tool);
    writeFileSync(join(folder, 'package.json'), '{"version":"1.2.0"}');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const notes = async (changelog: string, tag = 'v1.2.0'): Promise<string> => {
    writeFileSync(join(folder, 'CHANGELOG.md'), changelog);
    return run(process.execPath, [tool, tag]).then(
      ({ stdout }) => stdout,
      ({ stderr }: { stderr: string }) => `refused: ${stderr}`,
    );
  };

  it('prints what the changelog says of the release', async () => {
    const text =
      '# Changelog\n\n## [Unreleased]\n\nlater\n\n## [1.2.0] - 2027-01-05\n\n**Open migrations:** replay.\n\n- One.\n\n## [1.1.0]\n\n- Old.\n';
    expect(await notes(text)).toBe('**Open migrations:** replay.\n\n- One.\n');
  });

  it.each([
    ['another tag', '## [1.2.0]\n\n**Open migrations:** replay.\n', 'v1.3.0', 'expected the tag v1.2.0'],
    ['no heading', '## [Unreleased]\n', 'v1.2.0', 'expected a heading "## [1.2.0]"'],
    ['nothing about open migrations', '## [1.2.0]\n\n- One.\n', 'v1.2.0', 'expected "**Open migrations:**'],
  ])('refuses %s', async (_what, text, tag, problem) => {
    expect(await notes(text, tag)).toContain(`refused: ${problem}`);
  });
});
