/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  // What takes minutes has a command of its own: `npm run test:long`.
  testPathIgnorePatterns: process.env.CUTOVER_LONG_TESTS === undefined ? ['\\.long\\.test\\.ts$'] : [],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  setupFiles: ['<rootDir>/test/support/property-seed.ts'],
  reporters: ['default', '<rootDir>/test/support/closing-line-reporter.js'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/\\.dist-'],
  moduleNameMapper: {
    '/schema-thread-file$': '<rootDir>/test/support/schema-thread-file.ts',
    '/contract-thread-file$': '<rootDir>/test/support/contract-thread-file.ts',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  testSequencer: '<rootDir>/test/support/longest-first.js',
  testTimeout: 60_000,
  maxWorkers: 3,
};
