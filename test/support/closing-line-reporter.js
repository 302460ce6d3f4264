/** Ends a run with one plain line that scripts can read: `N passed, N failed`. */
module.exports = class ClosingLineReporter {
  onRunComplete(_contexts, results) {
    // A suite that could not even load counts as one failure.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    const line = `${results.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
    // After Jest's own summary, which follows all reporters.
    process.once('exit', () => process.stdout.write(`\n${line}\n`));
  }
};
