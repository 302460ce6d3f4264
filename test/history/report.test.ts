import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RecordedMigration, readMigration } from '../../src/history/recorded-migration';
import { renderReport, writeReport } from '../../src/history/write-report';
import { historyOf } from '../support/migrations/recorded-history';

const MADE_AT_MS = Date.UTC(2026, 10, 23, 12);
const harmed = readMigration(historyOf('harm'));

it('tells shares, verdicts with their numbers, checkpoints with their chain, and who did what', () => {
  const { html, markdown } = renderReport(harmed, MADE_AT_MS);
  for (const text of [html, markdown]) {
    expect(text).toContain('Migration of harm');
    expect(text).toContain('rolled back');
    for (const heading of [
      'For the auditor',
      'Shares asked and confirmed',
      'Verdicts',
      'Who did what',
      'Effects',
    ]) {
      expect(text).toContain(heading);
    }
    expect(text).toMatch(/Verified: 10 checkpoints without a gap, 3 changes of routing/);
    expect(text).toMatch(/candidate success [\d.]+%, floor 50%: below it, e-value [\d,]+ of 320 needed/);
  }
  expect(html.match(/<svg/g)?.length).toBeGreaterThan(5);
  expect(markdown).toMatch(/^\| errors \| inconclusive \| \d+ \/ \d+ \| 0% \| \d+% \|/m);
});

describe('its three sentences for a manager', () => {
  const sentencesOf = (migration: RecordedMigration) => {
    const { markdown, html } = renderReport(migration, MADE_AT_MS);
    const [, brief = ''] = /## In brief\n\n([\s\S]*?)\n\n## For the auditor/.exec(markdown) ?? [];
    expect(html.indexOf('In brief')).toBeLessThan(html.indexOf('For the auditor'));
    return brief.split('\n\n');
  };

  it('say what happened and why first, of a history of an older release too', () => {
    const [what, callers, money, ...more] = sentencesOf(harmed);
    expect(what).toMatch(
      /^Rolled back 2026-11-23 08:0\d UTC: success fell to 0% \(0 of 15\) since window 2 of canary, floor 50%, after [\d.]+ s\.$/,
    );
    expect(callers).toMatch(/^What callers noticed was not counted: /);
    expect(money).toMatch(/^What it cost is not known: /);
    expect(more).toEqual([]);
  });

  it('say that a migration which waits in the handover has passed, and what is left', () => {
    const completed = readMigration(historyOf('completed'));
    const { list } = completed.checkpoints;
    const handover = list.findIndex((entry) => entry.kind === 'recorded' && entry.what === 'handover');
    const checkpoints = { ...completed.checkpoints, list: list.slice(0, handover + 1) };
    expect(sentencesOf({ ...completed, checkpoints, outcome: 'running' })[0]).toMatch(
      /^It has run for [\d.]+ \S+, every stage has passed, and 100% of the traffic goes to the candidate; what is left is to settle every gateway on the candidate\.$/,
    );
    const before = { ...completed.checkpoints, list: list.slice(0, handover) };
    expect(sentencesOf({ ...completed, checkpoints: before, outcome: 'running' })[0]).not.toContain(
      'every stage',
    );
  });

  it('say what callers noticed, and what it cost and saved, where windows have counted that', () => {
    const arm = (requests: number, failures: number, costUsd: number) => ({
      ...{ requests, failures, costUsd, priced: requests },
    });
    const windows = harmed.windows.map((window, index) => ({
      ...window,
      result: {
        ...window.result,
        traffic: {
          legacy: arm(90, 1, 0.9),
          candidate: arm(10, 2, 0.05),
          rescued: index === 0 ? 1 : 2,
          rescueUsd: 0.02,
          windows: 1,
        },
      },
    }));
    const n = windows.length;
    const [, callers, money] = sentencesOf({ ...harmed, windows });
    expect(callers).toBe(
      `Callers noticed 1 failure of ${10 * n} requests that the candidate got in ${n} windows; legacy answered ${2 * n - 1} that it failed.`,
    );
    expect(money).toMatch(
      /^\$0\.\d+ spent at the candidate for \d+ requests and \$0\.\d+ to answer its failures at legacy: \$0\.\d+ saved against \$[\d.]+ by legacy's mean price\.$/,
    );
  });
});

it.each(['drift', 'continued-last-run'])('tells of migrations of earlier versions as well: %s', (name) => {
  expect(renderReport(readMigration(historyOf(name)), MADE_AT_MS).markdown).toContain('## Checkpoints');
});

it('says of a count that was reached how much was needed, and of a goal that is only watched that it is', () => {
  const { markdown } = renderReport(readMigration(historyOf('completed-2')), MADE_AT_MS);
  expect(markdown).toMatch(/^- \d+ candidate requests, 3 needed\.$/m);
  expect(markdown).not.toMatch(/^- \d+ of \d+ candidate requests/m);
  expect(markdown).toMatch(/^\| p95 of plain answers \| watched \|/m);
});

it('loads nothing from anywhere', () => {
  const { html } = renderReport(harmed, MADE_AT_MS);
  expect(html).toContain("default-src 'none'; style-src 'unsafe-inline'");
  expect(html).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/);
});

it('shows what people wrote as text, whatever it is', () => {
  const evil = '<img src=x onerror=alert(1)> | [x](javascript:1) \u202e `&';
  const checkpoints = harmed.checkpoints.list.map((entry) =>
    entry.kind === 'recorded' ? { ...entry, by: evil, reason: evil } : entry,
  );
  const migration: RecordedMigration = {
    ...harmed,
    reason: evil,
    by: evil,
    outcomeReason: evil,
    checkpoints: { ...harmed.checkpoints, list: checkpoints },
    messages: [{ atMs: MADE_AT_MS, via: 'signal', name: evil, by: evil, reason: evil }],
  };
  const { html, markdown } = renderReport(migration, MADE_AT_MS);
  expect(html).not.toContain('<img');
  expect(html).toContain('&#60;img src=x onerror=alert(1)&#62;');
  expect(html).not.toContain('\u202e');
  expect(markdown).toContain('\\<img src=x onerror=alert(1)\\> \\| \\[x\\](javascript:1) \\\\u202e \\`&amp;');
});

it('shows the effects that were recorded, and says when checkpoints do not verify', () => {
  const effect = {
    kind: 'recorded',
    what: 'effect applied',
    stage: 'canary',
    by: 'cutover',
    commandId: null,
  };
  const list = [
    ...harmed.checkpoints.list.slice(1),
    { ...effect, seq: 11, atMs: MADE_AT_MS, reason: 'dns chat: weight 30' },
  ] as unknown as RecordedMigration['checkpoints']['list'];
  const { markdown } = renderReport(
    { ...harmed, checkpoints: { ...harmed.checkpoints, list, problem: 'cut' } },
    MADE_AT_MS,
  );
  expect(markdown).toContain('| effect applied | canary | dns chat: weight 30 |');
  expect(markdown).toContain('NOT verified: expected checkpoint 1, got 2');
  expect(markdown).toContain('Checkpoints are not complete: cut.');
});

it('writes both files under the name of the migration, and again without harm', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-reports-'));
  try {
    const odd = { ...harmed, migrationId: '../../escape' };
    writeReport(harmed, join(folder, 'new'), MADE_AT_MS);
    const { html } = writeReport(harmed, join(folder, 'new'), MADE_AT_MS);
    writeReport(odd, join(folder, 'new'), MADE_AT_MS);
    expect(readdirSync(join(folder, 'new')).sort()).toEqual(
      [
        '.._.._escape.html',
        '.._.._escape.md',
        `${harmed.migrationId}.html`,
        `${harmed.migrationId}.md`,
      ].sort(),
    );
    expect(readFileSync(html, 'utf8')).toBe(renderReport(harmed, MADE_AT_MS).html);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
