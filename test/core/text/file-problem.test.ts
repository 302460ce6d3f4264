import { fileProblem } from '../../../src/core/text/file-problem';

it.each([
  ['ENOENT', 'open', 'there is no such file'],
  ['ENOENT', 'mkdir', 'it cannot be made: is its file system read-only?'],
  ['EEXIST', 'mkdir', 'it is a file, not a folder'],
  ['ENOSPC', 'write', 'the disk is full'],
  ['EMFILE', 'open', 'it failed (EMFILE)'],
])('says what %s of %s means', (code, syscall, problem) => {
  expect(fileProblem(Object.assign(new Error(code), { code, syscall }))).toBe(problem);
});
