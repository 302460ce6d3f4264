const config = require('./jest.config.js');

/**
 * The tests of src/core that a mutant of the state machine is tried against. Random orders are not among them: each
 * mutant would take minutes.
 * @type {import('jest').Config}
 */
module.exports = {
  transform: config.transform,
  roots: ['<rootDir>/test/core'],
  testMatch: [
    '**/(migration|approval|effects|evidence|accepted|durable|gateway-|alpha|carried|bounded|state-)*.test.ts',
  ],
  testPathIgnorePatterns: ['migration-properties'],
  testEnvironment: '@stryker-mutator/jest-runner/jest-env/node',
  testTimeout: 60_000,
};
