import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ReplayResult, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { workflowIdOf } from '../src/contract';
import { built } from './support/cli';
import { brokenBundle } from './support/migrations/broken-bundle';
import { PLANTED_CHANGES } from './support/migrations/planted-changes';
import { installQuietRuntime } from './support/migrations/quiet-runtime';
import { historyNames, historyOf } from './support/migrations/recorded-history';

// What the broken workflow is refused for would be told at length.
installQuietRuntime();

const NAMES = historyNames();

function recorded(): { workflowId: string; history: unknown }[] {
  return NAMES.map((name) => ({
    workflowId: workflowIdOf(name),
    history: historyOf(name),
  }));
}

const REVISION_3 = [
  ...[
    'approved',
    'cancelled',
    'completed',
    'confirmed',
    'deadlines',
    'doubtful',
    'failing',
    'finished',
    'forgotten',
  ],
  ...[
    'hours',
    'lapses',
    'latched',
    'orders',
    'overtaken',
    'pages',
    'pages-2',
    'rejected',
    'restore',
    'roster',
  ],
  ...['settled', 'unverified', 'unwell', 'waiting', 'waiting-2'],
];

async function replay(code: string): Promise<ReplayResult[]> {
  const results: ReplayResult[] = [];
  for await (const result of Worker.runReplayHistories({ workflowBundle: { code } }, recorded())) {
    results.push(result);
  }
  return results;
}

it('has a history of every way that a migration can go', () => {
  expect(NAMES).toEqual(
    expect.arrayContaining([
      ...[
        'cancelled',
        'completed',
        'continued-first-run',
        'continued-last-run',
        'drift',
        'governed',
        'harm',
        'operator',
        // Of the release that brought revision 2 of the decisions: what it has recorded is never removed.
        'revision-2-overdue',
        'revision-2-drift',
        'revision-2-operator',
        'revision-2-governed',
        // Of the release that brought revision 3: a scene of each family of decisions, with two gateways.
        ...REVISION_3.map((scene) => `revision-3-${scene}`),
        // Of the release that brought revision 5: amendments, also over the end of a run.
        ...['revision-5-amended', 'revision-5-extended', 'revision-5-extended-2'],
        ...['revision-5-moved', 'revision-5-moved-2'],
        // A stage that copies: one that passes, one that loses, one that has spent what it may.
        ...['revision-5-copied', 'revision-5-lost', 'revision-5-spent', 'revision-5-raised'],
        // A candidate whose model changes: accepted before anything moves, paused, and asked for.
        'revision-5-exchanged',
      ],
    ]),
  );
});

it('replays every recorded history on the workflow as it is now', async () => {
  const results = await replay(readFileSync(built('workflow-bundle.js'), 'utf8'));
  expect(results.map(({ workflowId, error }) => ({ workflowId, error }))).toEqual(
    NAMES.map((name) => ({ workflowId: workflowIdOf(name), error: undefined })),
  );
});

it('refuses a workflow that does one thing more than the recorded ones did', async () => {
  const results = await replay(await brokenBundle());
  for (const { error } of results) expect(error).toBeInstanceOf(DeterminismViolationError);
  expect(results).toHaveLength(NAMES.length);
});

// Whether replay refuses each of them takes minutes: `npm run test:long`.
it.each(PLANTED_CHANGES)('finds in one place what is changed so that $what', ({ file, from }) => {
  const source = readFileSync(join(__dirname, '..', 'src', file), 'utf8');
  expect(source.split(from)).toHaveLength(2);
});
