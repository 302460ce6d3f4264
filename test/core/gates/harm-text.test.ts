import { saidOnce, withoutEvidence } from '../../../src/core/gates/harm-text';

it.each([
  [
    'shadow has not passed within 60 s: shadow is not evaluated: 3 of 40 pairs',
    'shadow has not passed within 60 s: 3 of 40 pairs',
  ],
  [
    'canary has spent the $4 of its copies and has not passed: canary is inconclusive: 3 of 40 pairs; probes: 1 of 5',
    'canary has spent the $4 of its copies and has not passed: 3 of 40 pairs; probes: 1 of 5',
  ],
  [
    'canary has not passed within 72 h: not evaluated',
    'canary has not passed within 72 h: no window has ended yet',
  ],
  [
    'canary has not passed within 72 h: canary is in burn-in: recorded, not judged',
    'canary has not passed within 72 h: it is still in burn-in, where nothing is judged',
  ],
  ['by ana: the contract ends', 'by ana: the contract ends'],
])('why a stage is held is said once: %s', (recorded, said) => {
  expect(saidOnce(recorded)).toBe(said);
  expect(withoutEvidence(recorded)).toBe(said);
});
