const Sequencer = require('@jest/test-sequencer').default;

/** Rooms whose tests take up to minutes, though their files are short. */
const LONG = /\/test\/(e2e|chaos|training|model)\//;

/**
 * On a clean checkout nothing is known of how long tests take, and jest goes by the size of their files: the longest would
 * begin last, with one worker left idle.
 */
module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    return [
      ...sorted.filter(({ path }) => LONG.test(path)),
      ...sorted.filter(({ path }) => !LONG.test(path)),
    ];
  }
};
