import { howItEnded } from '../../../src/cli/history/history';
import type { PastMigration } from '../../../src/client';
import { listedMigration } from '../../../src/client/listed-migration';
import { listedViews } from '../../../src/console/view/listed-migration';
import { InvalidHistory } from '../../../src/history/temporal-history';
import { historyOf } from '../../support/migrations/recorded-history';

const OLDER: PastMigration = {
  migrationId: 'harm-20261123t080156z-2f3bd8',
  workflowId: 'cutover/harm',
  runId: 'one',
  status: 'COMPLETED',
  startedAt: new Date('2026-11-23T08:01:56Z'),
  closedAt: new Date('2026-11-23T08:02:02Z'),
  by: 'ana',
  reason: 'cheaper',
  headline: '',
  result: {
    migrationId: 'harm-20261123t080156z-2f3bd8',
    route: 'harm',
    outcome: 'rolled back',
    reason: 'share 0 is verified on every gateway under epoch 3',
    checkpoints: 10,
  },
};

const nothing = async (): Promise<unknown> => {
  throw new Error('expected no history to be fetched');
};

it('reads out of its history why a migration of an older release was rolled back', async () => {
  expect(await howItEnded(OLDER, async () => historyOf('harm'))).toBe(
    'Rolled back 2026-11-23 08:02 UTC: success fell to 0% (0 of 15) since window 2 of canary, floor 50%',
  );
});

it('says what was verified where that history cannot be read', async () => {
  const broken = async () => {
    throw new InvalidHistory('expected payloads that hold JSON');
  };
  expect(await howItEnded(OLDER, broken)).toBe(
    'Rolled back 2026-11-23 08:02 UTC: share 0 is verified on every gateway under epoch 3',
  );
});

it('says of an open one why it does not advance', async () => {
  const open = { ...OLDER, status: 'RUNNING', closedAt: null, result: null };
  expect(await howItEnded(open, nothing)).toBe('running');
  expect(await howItEnded({ ...open, headline: 'Held: too few keys' }, nothing)).toBe(
    'open. Held: too few keys',
  );
});

it('fetches no history where the result says it, and where nothing was rolled back', async () => {
  const headline = 'Rolled back 2026-11-23 08:02 UTC by ana: slow';
  const { result } = OLDER;
  expect(await howItEnded({ ...OLDER, result: result && { ...result, headline } }, nothing)).toBe(headline);
  expect(await howItEnded({ ...OLDER, status: 'TERMINATED', result: null }, nothing)).toBe(
    'its run was terminated',
  );
  expect(await howItEnded({ ...OLDER, status: 'RUNNING', closedAt: null, result: null }, nothing)).toBe(
    'running',
  );
});

it.each([
  [
    'COMPLETED',
    'Rolled back 2026-11-29 16:35 UTC: success fell to 66% (46 of 70)',
    'success fell to 66% (46 of 70)',
  ],
  ['COMPLETED', 'Rolled back 2026-11-29 16:35 UTC by ana: wrong language', 'ana: wrong language'],
  ['COMPLETED', undefined, 'open it to see why'],
  ['TERMINATED', undefined, 'ended in Temporal, not by the migration'],
  ['RUNNING', undefined, 'ben: cheaper'],
  ['RUNNING', 'Rolling back since 2026-11-29 16:35 UTC: success fell to 66%', 'success fell to 66%'],
  ['RUNNING', 'Paused by ana: p95 doubled', 'Paused by ana: p95 doubled'],
])('lists a run that is %s, with the memo %s, for the reason "%s"', (name, headline, why) => {
  const run = {
    ...{ workflowId: 'cutover/chat', runId: 'one', status: { name }, startTime: new Date() },
    memo: { by: 'ben', reason: 'cheaper', ...(headline === undefined ? {} : { headline }) },
  };
  expect(listedViews([listedMigration(run, {})])[0]?.why).toBe(why);
});
