#!/usr/bin/env node

// Old Nodes must be able to read this, and it loads nothing that is newer than they are.

/** What is wrong with a version of Node, or null; `engines` is package.json's, such as ">=20.19.0". */
function nodeProblem(version, engines) {
  const wanted = engines
    .replace(/[^\d.]/g, '')
    .split('.')
    .map(Number);
  const found = version.split('.').map(Number);
  const differs = wanted.findIndex((part, at) => found[at] !== part);
  if (differs === -1 || found[differs] > wanted[differs]) return null;
  return `cutover needs Node ${wanted.join('.')} or newer, and this is Node ${version} (${process.execPath}). Install a newer one, for example by \`nvm install 20\``;
}

module.exports = { nodeProblem };

const problem = nodeProblem(process.versions.node, require('../package.json').engines.node);
if (problem !== null) {
  process.stderr.write(`${problem}\n`);
  process.exit(2);
}
