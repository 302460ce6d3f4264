import { verdictLine } from '../../../src/core/gates/verdict-text';

it.each([
  ['pass', 'canary at 10% passes: candidate errors 0% against 0%', 'pass: candidate errors 0% against 0%'],
  ['pass', 'team passes, low power: few requests; errors 0%', 'pass, low power: few requests; errors 0%'],
  ['inconclusive', 'canary is inconclusive: 49 of 80 requests', 'inconclusive: 49 of 80 requests'],
  ['not evaluated', 'rolling is not evaluated: solved: none yet', 'not evaluated: solved: none yet'],
  ['fail', 'rolling is not within its limits: identity: another', 'fail: identity: another'],
  ['inconclusive', 'canary is in burn-in: recorded, not judged', 'burn-in: recorded, not judged'],
  ['pass', '5 of 5 probes passed', 'pass: 5 of 5 probes passed'],
] as const)('a verdict of %s in one line says once what it came to', (outcome, sentence, line) => {
  const lowPower = { sentence: 'few requests' };
  const verdict = {
    outcome,
    sentence,
    burnIn: line.startsWith('burn-in'),
    ...(line.includes('low power') ? { lowPower } : {}),
  };
  expect(verdictLine(verdict as Parameters<typeof verdictLine>[0], false)).toBe(line);
});
