const TestEnvironment = require('@stryker-mutator/jest-runner/jest-env/node');
const { SLOW } = require('./slow-tests');

/** Leaves slow tests out, and all others once one has failed: that one has killed the mutant. */
module.exports = class FirstFailureEnvironment extends TestEnvironment {
  hasFailed = false;

  handleTestEvent(event) {
    if (event.name === 'test_fn_failure') this.hasFailed = true;
    if (event.name !== 'test_start') return;
    if (this.hasFailed || SLOW.test(event.test.name)) event.test.mode = 'skip';
  }
};
