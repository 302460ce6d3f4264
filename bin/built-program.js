const { existsSync, readdirSync, statSync } = require('node:fs');
const { join } = require('node:path');

const ROOT = join(__dirname, '..');
const MAIN = join(ROOT, 'dist', 'src', 'cli', 'main.js');
const SOURCES = join(ROOT, 'src');

/** The newest file below a folder: its path and when it was changed, milliseconds. */
function newestFile(folder) {
  let newest = { path: folder, atMs: 0 };
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const found = entry.isDirectory() ? newestFile(path) : { path, atMs: statSync(path).mtimeMs };
    if (found.atMs > newest.atMs) newest = found;
  }
  return newest;
}

if (!existsSync(MAIN)) {
  process.stderr.write(`nothing is built in ${ROOT}: run \`npm run build\` there first\n`);
  process.exit(2);
}
// Only a checkout has sources. On call nothing is compiled: what was built runs, and says that it is older.
if (existsSync(SOURCES)) {
  const newest = newestFile(SOURCES);
  if (newest.atMs > statSync(join(ROOT, 'dist', 'workflow-bundle.js')).mtimeMs) {
    const changed = newest.path.slice(ROOT.length + 1);
    process.stderr.write(`note: this build is older than ${changed}; \`npm run build\` makes a new one\n`);
  }
}
require(MAIN);
