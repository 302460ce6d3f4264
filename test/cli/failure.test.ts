import { failureOf } from '../../src/cli/options/failure';
import { BadInput } from '../../src/core/configuration/bad-input';

it('exits 2 for what came from outside and cannot be used, whatever its kind', () => {
  class MissingPart extends BadInput {
    override readonly name = 'MissingPart';
  }
  expect(failureOf(new BadInput('expected a zip, got a picture'))).toEqual({
    message: 'expected a zip, got a picture',
    exitCode: 2,
  });
  expect(failureOf(new MissingPart('it is cut short')).exitCode).toBe(2);
});

it('exits 1 for a broken promise of ours, and never calls it bad input', () => {
  expect(failureOf(new RangeError('expected a margin above 0, got 0'))).toEqual({
    message: 'unexpected: expected a margin above 0, got 0',
    exitCode: 1,
  });
});
