import { execFile } from 'node:child_process';
import { SHORT_LIST } from '../../chaos/episode-list';
import { built } from '../support/cli';

const LONGEST_MS = 600_000;

function chaos(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, TEMPORAL_CLI_PATH: process.env['CUTOVER_TEST_TEMPORAL'] };
    const options = { env, timeout: LONGEST_MS, maxBuffer: 16 * 1024 * 1024 };
    execFile(process.execPath, [built('chaos', 'main.js'), ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

it(
  'plays the short list without a broken law',
  async () => {
    const { code, stdout, stderr } = await chaos('--short', '--json');
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const episodes = lines.slice(0, -1);
    expect({ code, problems: episodes.flatMap(({ problems }) => problems), stderr }).toMatchObject({
      code: 0,
      problems: [],
    });
    expect(episodes.map(({ seed }) => seed)).toEqual(SHORT_LIST);
    for (const { end, counts } of episodes) {
      expect(end).toBe('rolled back');
      // An episode in which nothing moved would break no law either.
      expect(counts['at the candidate']).toBeGreaterThan(0);
      expect(counts['verified rollbacks']).toBeGreaterThan(0);
    }
    expect(lines.at(-1)).toMatchObject({ failed: 0 });
  },
  LONGEST_MS,
);

it.each([
  [['--seed', '401'], '--seed: expected a whole number from 1 to 400, got "401"'],
  [['--seed', 'seven'], '--seed: expected a whole number from 1 to 400, got "seven"'],
  [['--episodes', '0'], '--episodes: expected a whole number from 1 to 400, got "0"'],
  [['--kind', 'earthquake'], '--kind: expected one of worker killed, '],
  [['--seed', '1', '--short'], 'expected one of --seed, --kind and --short, got --seed and --short'],
  [['--sed', '1'], "Unknown option '--sed'"],
])('says in one line what is wrong with %j', async (args, message) => {
  const { code, stdout, stderr } = await chaos(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

it('shows an example in its help', async () => {
  const { code, stdout } = await chaos('--help');
  expect(code).toBe(0);
  expect(stdout).toContain('npm run chaos -- --seed 17');
});
