import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

const PROMPTS = Array.from({ length: 60 }, (_, index) => ({
  id: `greeting-${index}`,
  stratum: 'chat',
  messages: [{ role: 'user', content: `Say good morning to visitor ${index}.` }],
}));

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['compared', 'missing'] });
  const lines = PROMPTS.map((prompt) => JSON.stringify(prompt));
  writeFileSync(join(harness.folder, 'golden.jsonl'), `${lines.join('\n')}\n`);
  await harness.startWorker();
});
afterAll(() => harness?.stop());

it('compares answers to golden prompts and hands conversations over before anything moves', async () => {
  const parity = { golden: 'golden.jsonl', minimumPrompts: 10, maxCostUsd: null };
  await harness.beginInCanary(quickPlan('compared', { canary: staying() }, { parity }));
  const assessment = await harness.client.assessment('compared');
  expect(assessment?.parity?.report).toMatchObject({ outcome: 'pass', prompts: { compared: 60 } });
  const directions = assessment?.handover?.directions ?? [];
  expect(directions.map(({ madeBy, outcome }) => [madeBy, outcome])).toEqual([
    ['candidate', 'accepted'],
    ['legacy', 'accepted'],
  ]);
  // Nothing of the prompts and the answers is in the history.
  const history = JSON.stringify(await harness.handle('compared').fetchHistory());
  for (const text of ['Say good morning', Buffer.from('Say good morning').toString('base64').slice(0, 18)]) {
    expect(history).not.toContain(text);
  }
  await harness.command('compared', 'emergencyRollback');
});

it('holds while the golden prompts cannot be read, and says why', async () => {
  await harness.begin(quickPlan('missing', {}, { parity: { golden: 'nowhere.jsonl', maxCostUsd: null } }));
  const { verdict } = await harness.until('missing', (status) => status.verdict?.outcome === 'inconclusive');
  expect(verdict?.sentence).toContain('nowhere.jsonl');
  await harness.command('missing', 'emergencyRollback');
});
