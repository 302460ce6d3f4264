import { recordHash } from '../../src/core/record/record-chain';
import { readMigration } from '../../src/history/recorded-migration';
import { historyOf } from '../support/migrations/recorded-history';

/**
 * What the checkpoints of recorded migrations hash to, the first 16 digits: exports and notifications bear that hash,
 * so that no release may retrace others. Another hash means that a decision of an older revision has changed.
 */
const HEADS: Readonly<Record<string, string>> = {
  cancelled: '8f5670c6f8461002',
  'completed-2': '72d3459539400cdb',
  completed: '98c167ac71ab6b84',
  'continued-first-run': 'f793e19dc9b7aef4',
  'continued-last-run': '7d012b71515e43f1',
  drift: '966f435134b92d55',
  governed: 'c796c4b385d93e7a',
  'harm-2': 'f2128f38c034a28b',
  harm: 'ff557f429c609555',
  operator: '4c7934efd487e50a',
  'revision-2-drift': '08afacee8b6cc3fd',
  'revision-2-governed': 'e251d8719b60914f',
  'revision-2-operator': 'afb59ed84b796997',
  'revision-2-overdue': '9ec2452c87750eac',
  'revision-3-approved': '542b8d67d034ce5a',
  'revision-3-cancelled': '0c198439701c4cf5',
  'revision-3-completed': '204f6903db800ab1',
  'revision-3-confirmed': '881bb95de3d325cb',
  'revision-3-deadlines': '6cdeed45932d801d',
  'revision-3-doubtful': 'b4af8badc9e700d4',
  'revision-3-failing': '333c3c0db78aa202',
  'revision-3-finished': 'c30a06252b12a745',
  'revision-3-forgotten': '783aa08ef3fa4c61',
  'revision-3-governed': '44c24ffbda7e370e',
  'revision-3-hours': '2861b742a50287a6',
  'revision-3-lapses': '24a8689bb73fbe0e',
  'revision-3-latched': '2dcad14baadbd3dc',
  'revision-3-orders': '8fe4cd5c578789d8',
  'revision-3-overtaken': '5f392e6ebbcd195f',
  'revision-3-pages-2': 'ba2aa46ac14a1c1f',
  'revision-3-pages': '7f7f9bc28310e714',
  'revision-3-rejected': '4cb7b1c1a541ab29',
  'revision-3-restore': '3c1208ebcdf84888',
  'revision-3-roster': 'e0d37314ce24dfcb',
  'revision-3-settled': '1009c6b904b4a2ec',
  'revision-3-unverified': '5d552049610b72ba',
  'revision-3-unwell': '09c631dbcd8adadb',
  'revision-3-waiting-2': '17deae59f49e13ec',
  'revision-3-waiting': '7f050597d8d637f6',
  // What its own workflow told: a window that ends in the task that brings a rollback is not counted.
  'revision-5-preempted': '6c906d7e71e46638',
};

describe('the record of a migration of an older release', () => {
  it.each(Object.entries(HEADS))('is retraced to the same checkpoints, word for word: %s', (name, head) => {
    const { migrationId, checkpoints } = readMigration(historyOf(name));
    expect(checkpoints.problem).toBeNull();
    expect(recordHash(migrationId, checkpoints.list).slice(0, 16)).toBe(head);
  });
});
