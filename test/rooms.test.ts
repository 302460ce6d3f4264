import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..');
/** The most files that a person looks through for a name. */
const MOST = 20;

function foldersIn(path: string): string[] {
  const below = readdirSync(join(ROOT, path), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return below.flatMap(({ name }) => [`${path}/${name}`, ...foldersIn(`${path}/${name}`)]);
}

const filesAt = (path: string) =>
  readdirSync(join(ROOT, path), { withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name.endsWith('.ts'),
  ).length;

it.each(['src', 'test', 'bench', 'tools', 'chaos'])(
  '%s has no room with more files than anybody looks through',
  (hall) => {
    const full = [hall, ...foldersIn(hall)].filter((path) => filesAt(path) > MOST);
    expect(full).toEqual([]);
  },
);

it.each(['src/core', 'src/gateway', 'src/cli'])(
  'docs/architecture.md says what every room of %s is for',
  (hall) => {
    const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
    expect(foldersIn(hall).filter((path) => !text.includes(`| \`${path}\` |`))).toEqual([]);
  },
);

it('calls the arm as drawn an arm and who serves a provider, neither of them a side', () => {
  const files = foldersIn('src').flatMap((path) =>
    readdirSync(join(ROOT, path)).map((name) => `${path}/${name}`),
  );
  const named = files.filter(
    (file) =>
      /(^|[/-])sides?[-.]/.test(file) ||
      (file.endsWith('.ts') && /Sides?(?![a-z])/.test(readFileSync(join(ROOT, file), 'utf8'))),
  );
  expect(named).toEqual([]);
});
