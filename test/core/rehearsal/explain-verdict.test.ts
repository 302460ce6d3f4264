import { JUDGING_RULES } from '../../../src/core/gates/verdict';
import { explainWindow } from '../../../src/core/rehearsal/explain-verdict';
import { judgeAgain, type RecordedWindow } from '../../../src/core/rehearsal/recorded-window';
import { readMigration } from '../../../src/history/recorded-migration';
import { historyOf, judgedToday } from '../../support/migrations/recorded-history';

const windowsOf = (name: string) => readMigration(historyOf(name)).windows;

/** A window whose stored verdict or evidence is not what it was. */
function changed(
  window: RecordedWindow,
  change: (result: RecordedWindow['result']) => object,
): RecordedWindow {
  return { ...window, result: { ...window.result, ...change(window.result) } };
}

it.each(['completed-2', 'harm-2'])('agrees with every verdict that was recorded by its rules: %s', (name) => {
  const explained = readMigration(judgedToday(historyOf(name))).windows.map(explainWindow);
  expect(explained.length).toBeGreaterThan(0);
  for (const { rules, differences } of explained)
    expect({ rules, differences }).toEqual({ rules: JUDGING_RULES, differences: [] });
});

it.each([
  ['completed', 1],
  ['harm', 1],
  ['operator', 1],
  ['completed-2', 2],
  ['harm-2', 2],
])('says which rules judged an older verdict, and decides alike: %s', (name, judgedBy) => {
  const explained = windowsOf(name).map(explainWindow);
  expect(explained.length).toBeGreaterThan(0);
  for (const { rules, recomputed, window } of explained) {
    const { outcome, harm } = window.result.verdict;
    expect({ rules, outcome: recomputed.outcome, harm: recomputed.harm }).toEqual({
      rules: judgedBy,
      outcome,
      harm,
    });
  }
});

it('tells where a stored verdict does not follow from its evidence', () => {
  const { windows } = readMigration(judgedToday(historyOf('completed-2')));
  const window = windows.find(({ result }) => result.verdict.outcome === 'pass');
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
