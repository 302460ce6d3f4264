import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { MigrationHarness } from '../support/migrations/migration-harness';

jest.setTimeout(240_000);

const ROOT = join(__dirname, '..', '..');

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ gateways: 1 });
});
afterAll(() => harness?.stop());

it('ends a worker whose polls Temporal refuses for good with exit code 1, and says so', async () => {
  const namespace = 'lost-with-the-database';
  await harness.temporalCommand('operator', 'namespace', 'create', '--namespace', namespace);
  const worker = await harness.startWorker('--namespace', namespace);
  await harness.temporal.stop();
  for (const end of ['', '-wal', '-shm']) rmSync(join(harness.folder, `temporal.db${end}`), { force: true });
  await harness.startTemporal();
  // The SDK takes refusals for a fault of the network for a minute.
  await worker.gone;
  expect(worker.exitCode()).toBe(1);
  expect(worker.output()).toContain('the worker ended unexpectedly and has to be started again');
});

it('is started again by Compose, systemd and Kubernetes whatever its exit code', () => {
  const text = (path: string) => readFileSync(join(ROOT, path), 'utf8');
  const compose = parse(text('temporal-docker-compose.yml'), { merge: true });
  expect(compose.services.worker.restart).toBe('unless-stopped');
  expect(text('deploy/systemd/cutover-worker.service')).toMatch(/^Restart=always$/m);
  const [deployment] = parseAllDocuments(text('deploy/kubernetes/worker.yaml'))
    .map((document) => document.toJS())
    .filter(({ kind }) => kind === 'Deployment');
  // What a Deployment's pods do where they say nothing; it allows nothing else.
  expect(deployment.spec.template.spec.restartPolicy ?? 'Always').toBe('Always');
});
