const config = require('./jest.config.js');

/**
 * What a mutant of the state machine is tried against: its quick tests, as one file, until the first that fails.
 * @type {import('jest').Config}
 */
module.exports = {
  transform: config.transform,
  roots: ['<rootDir>/test/mutation'],
  testMatch: ['**/quick-tests.ts'],
  testEnvironment: require.resolve('./test/mutation/first-failure-environment.js'),
  testTimeout: 60_000,
};
