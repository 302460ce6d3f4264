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

it('says in words what is wrong with a file of which nobody else has said it', () => {
  const system = (code: string, syscall: string) =>
    Object.assign(new Error(`${code}: whatever`), { code, syscall, path: '/var/log/gateway.log' });
  expect(failureOf(system('EACCES', 'open'))).toEqual({
    message: 'cannot use /var/log/gateway.log: this user has no permission for it',
    exitCode: 2,
  });
  expect(failureOf(system('EMFILE', 'open'))).toMatchObject({ exitCode: 1 });
  expect(failureOf(system('ENOENT', 'spawn script'))).toMatchObject({ exitCode: 1 });
});

it('exits 1 for a broken promise of ours, and never calls it bad input', () => {
  expect(failureOf(new RangeError('expected a margin above 0, got 0'))).toEqual({
    message: 'unexpected: expected a margin above 0, got 0',
    exitCode: 1,
  });
});
