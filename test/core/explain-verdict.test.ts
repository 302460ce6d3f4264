import { explainWindow } from '../../src/core/explain-verdict';
import { judgeAgain, type RecordedWindow } from '../../src/core/recorded-window';
import { readMigration } from '../../src/history/recorded-migration';
import { historyOf } from '../support/recorded-history';

const windowsOf = (name: string) => readMigration(historyOf(name)).windows;

/** A window whose stored verdict or evidence is not what it was. */
function changed(
  window: RecordedWindow,
  change: (result: RecordedWindow['result']) => object,
): RecordedWindow {
  return { ...window, result: { ...window.result, ...change(window.result) } };
}

it.each(['completed', 'harm', 'operator'])('agrees with every verdict that was recorded: %s', (name) => {
  const windows = windowsOf(name);
  expect(windows.length).toBeGreaterThan(0);
  for (const window of windows) expect(explainWindow(window).differences).toEqual([]);
});

it('tells where a stored verdict is not what its evidence gives', () => {
  const [window] = windowsOf('completed');
  if (window === undefined) throw new Error('expected a window');
  const told = explainWindow(
    changed(window, ({ verdict }) => ({
      verdict: {
        ...verdict,
        outcome: 'fail',
        metrics: verdict.metrics.map((metric) =>
          metric.metric === 'errors' ? { ...metric, eValue: 1 } : metric,
        ),
      },
    })),
  );
  expect(told.recomputed).toEqual(window.result.verdict);
  expect(told.differences).toEqual([
    { path: 'outcome', stored: '"fail"', recomputed: '"pass"' },
    { path: 'metrics[errors].eValue', stored: '1', recomputed: expect.stringMatching(/^\d/) },
  ]);
});

it('names the gateways again that had been silent', () => {
  const [window] = windowsOf('completed');
  if (window === undefined) throw new Error('expected a window');
  const silent = judgeAgain(
    changed(window, ({ verdict }) => ({
      verdict: {
        ...verdict,
        metrics: [
          { metric: 'gateways', sentence: 'no evidence from gw-b, gw-c (its counters went backwards)' },
        ],
      },
    })),
  );
  expect(silent.outcome).toBe('not evaluated');
  expect(silent.metrics[0]?.sentence).toBe('no evidence from gw-b, gw-c (its counters went backwards)');
});

it.each([
  ['evidence of an earlier version', { evidence: { epoch: 1, cells: [] } }, 'an earlier version'],
  ['no evidence', { evidence: null }, 'an earlier version'],
])('does not guess about %s', (_name, result, message) => {
  const [window] = windowsOf('completed');
  if (window === undefined) throw new Error('expected a window');
  expect(() => explainWindow(changed(window, () => result))).toThrow(message);
});
