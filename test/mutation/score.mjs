import { readFileSync } from 'node:fs';

/**
 * Prints Stryker's last report as the table of docs/testing.md, and every mutant that no test killed and nobody
 * explained. Exits 1 where an explained mutant is no longer there or was killed.
 */
const report = JSON.parse(readFileSync('reports/mutation/mutation.json', 'utf8'));
const explained = JSON.parse(readFileSync('test/mutation/equivalent-mutants.json', 'utf8'));

const KILLED = ['Killed', 'Timeout', 'RuntimeError', 'CompileError'];
const LIVES = ['Survived', 'NoCoverage'];

const rows = [];
const open = [];
const stale = [];
for (const [file, { mutants, source }] of Object.entries(report.files).sort()) {
  const lines = source.split('\n');
  const tried = mutants.filter(({ status }) => KILLED.includes(status) || LIVES.includes(status));
  const living = tried
    .filter(({ status }) => LIVES.includes(status))
    .map((one) => described(file, one, lines));
  const known = explained.filter((one) => one.file === file);
  const equivalent = living.filter((one) => known.some((other) => isSame(one, other)));
  stale.push(...known.filter((one) => !living.some((other) => isSame(one, other))));
  open.push(...living.filter((one) => !equivalent.includes(one)));
  rows.push({
    file,
    mutants: tried.length,
    killed: tried.length - living.length,
    equivalent: equivalent.length,
    survivors: living.length - equivalent.length,
  });
}
const sum = (field) => rows.reduce((total, row) => total + row[field], 0);
rows.push({
  file: 'together',
  mutants: sum('mutants'),
  killed: sum('killed'),
  equivalent: sum('equivalent'),
  survivors: sum('survivors'),
});

console.log('| file | mutants | killed | equivalent | survivors | score |\n|---|---|---|---|---|---|');
for (const { file, mutants, killed, equivalent, survivors } of rows) {
  const score = mutants === equivalent ? 100 : (100 * killed) / (mutants - equivalent);
  const name = file.replace('src/core/migration/', '').replace(/\.ts$/, '');
  console.log(`| ${name} | ${mutants} | ${killed} | ${equivalent} | ${survivors} | ${score.toFixed(1)}% |`);
}
if (process.argv.includes('--survivors')) {
  for (const { file, at, line, mutator, original, replacement } of open) {
    console.log(`\n${file}:${at} ${mutator}\n  ${line}\n  ${original} -> ${replacement}`);
  }
}
for (const one of stale) console.error(`killed or gone: ${JSON.stringify(one)}`);
if (stale.length > 0) process.exitCode = 1;

/** A mutant by what it changes in which line, so that it is the same wherever the line moves. */
function described(file, { mutatorName, location, replacement }, lines) {
  const { start, end } = location;
  const line = (lines[start.line - 1] ?? '').trim();
  const last = start.line === end.line ? end.column - 1 : undefined;
  const original = (lines[start.line - 1] ?? '').slice(start.column - 1, last);
  return { file, at: `${start.line}:${start.column}`, line, mutator: mutatorName, original, replacement };
}

function isSame(one, other) {
  return ['line', 'mutator', 'original', 'replacement'].every((field) => one[field] === other[field]);
}
