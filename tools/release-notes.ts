import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Prints what CHANGELOG.md says of one release: `node dist/tools/release-notes.js v1.2.0`. Fails when package.json
 * has another version, or when the changelog does not name it or does not say whether open migrations replay.
 */
const ROOT = join(__dirname, '..', '..');

const problem = (message: string): never => {
  console.error(message);
  process.exit(1);
};

const [tag = problem('expected a tag such as v1.2.0')] = process.argv.slice(2);
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
if (tag !== `v${version}`) problem(`expected the tag v${version}, as package.json says, got ${tag}`);

const sections = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8').split(/^(?=## \[)/m);
const section = sections.find((text) => text.startsWith(`## [${version}]`));
if (section === undefined) problem(`expected a heading "## [${version}]" in CHANGELOG.md`);
else if (!/^\*\*Open migrations:?\*\*/m.test(section)) {
  problem(`expected "**Open migrations:** ..." under "## [${version}]" in CHANGELOG.md: do they replay?`);
} else console.log(section.slice(section.indexOf('\n') + 1).trim());
