import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import { findSecrets } from '../support/secret-search';

jest.setTimeout(150_000);

const ROOT = join(__dirname, '..', '..');
let harness: MigrationHarness;
let worker: string;
let gateway: string;

beforeAll(async () => {
  harness = await MigrationHarness.start({ gateways: 2 });
  const { output } = await harness.startWorker('--metrics', '127.0.0.1:0');
  const [, url = ''] = /metrics at (http:\S+\/metrics);/.exec(output()) ?? [];
  const load = harness.load('chat');
  const migrationId = await harness.beginInCanary(quickPlan('chat', { canary: staying('1s') }));
  await harness.until('chat', ({ verdict }) => (verdict?.requests.candidate ?? 0) > 0);
  const token = harness.secrets['CUTOVER_ADMIN_TOKEN'];
  const scrape = async (address: string) => {
    const answer = await fetch(address, { headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(200);
    return answer.text();
  };
  await harness.eventually('a window to be counted', async () =>
    (await scrape(url)).includes('cutover_migration_verdicts_total{'),
  );
  worker = await scrape(url);
  gateway = await scrape(`${harness.gateway('gw-1').admin}/metrics`);
  await load.stop();
  expect(findSecrets(harness, migrationId, { metrics: worker + gateway })).toEqual([]);
});
afterAll(() => harness?.stop());

it("shows the migration as the worker knows it beside the SDK's own metrics", () => {
  expect(worker).toContain('cutover_migration_stage{route="chat",stage="canary"} 1');
  expect(worker).toContain('cutover_migration_share_asked{route="chat"} 0.3');
  expect(worker).toMatch(/^cutover_migration_share_observed\{route="chat"} 0\.\d+$/m);
  expect(worker).toMatch(/^cutover_migration_evidence_age_seconds\{route="chat",gateway="gw-2"} \d/m);
  expect(worker).toMatch(/^cutover_routing_change_seconds_count\{route="chat",direction="raise"} 1$/m);
  expect(worker).toMatch(/^temporal_worker_task_slots_available\{.*task_queue="cutover-watch"/m);
});

/** Metrics that the SDK shows from the first failure on; its binary has their names. */
const ON_FAILURE = [
  'temporal_workflow_task_execution_failed',
  'temporal_activity_execution_failed',
  'temporal_request_failure',
  'temporal_long_request_failure',
];
/** Ours that need something to go wrong first; test/adapters/worker-metrics.test.ts has them. */
const ON_TROUBLE = ['cutover_migration_lapses_total', 'cutover_migration_drift'];
/** Of gateways with several processes; test/gateway/processes/processes.test.ts has them. */
const OF_PROCESSES = ['cutover_gateway_processes', 'cutover_gateway_process_restarts_total'];

it('has every metric that the alerts and the dashboard name', () => {
  const rules = readFileSync(join(ROOT, 'deploy', 'prometheus', 'rules.yml'), 'utf8');
  const dashboard = JSON.parse(readFileSync(join(ROOT, 'deploy', 'grafana', 'dashboard.json'), 'utf8'));
  const expressions = [
    ...(parse(rules) as { groups: { rules: { expr: string }[] }[] }).groups.flatMap((group) =>
      group.rules.map(({ expr }) => expr),
    ),
    ...(dashboard as { panels: { targets?: { expr: string }[] }[] }).panels.flatMap(({ targets = [] }) =>
      targets.map(({ expr }) => expr),
    ),
  ];
  const named = new Set(expressions.flatMap(metricsIn));
  expect(named.size).toBeGreaterThan(30);
  const declared = new Set(
    [...`${worker}\n${gateway}`.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name as string),
  );
  const unknown = [...named].filter(
    (name) => !declared.has(name) && !declared.has(name.replace(/_(bucket|sum|count)$/, '')),
  );
  const elsewhere = [...ON_FAILURE, ...ON_TROUBLE, ...OF_PROCESSES];
  expect(unknown.filter((name) => !elsewhere.includes(name))).toEqual([]);
  const native = nativeBinary();
  for (const name of ON_FAILURE) {
    expect({ name, known: native.includes(name.replace('temporal_', '')) }).toEqual({ name, known: true });
  }
});

/** The metrics that a PromQL expression reads. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replace(/\{[^}]*\}/g, '')
    .replace(/\b(by|on|without|ignoring) *\([^)]*\)/g, '')
    .replace(/"[^"]*"/g, '');
  return (bare.match(/[a-z_][a-z0-9_]*(?![a-z0-9_]|\s*\()/g) ?? []).filter(
    (word) => word.includes('_') && !word.startsWith('__'),
  );
}

function nativeBinary(): Buffer {
  const bridge = join(ROOT, 'node_modules', '@temporalio', 'core-bridge', 'releases');

  return readFileSync(join(bridge, 'x86_64-unknown-linux-gnu', 'index.node'));
}
