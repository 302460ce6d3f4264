import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { headingAnchors } from './support/documents/markdown';
import { unpackedProgram } from './support/servers/debian-program';

const run = promisify(execFile);
const ROOT = join(__dirname, '..');
const FOLDER = join(ROOT, 'deploy', 'prometheus');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const rules = (
  parse(readFileSync(join(FOLDER, 'rules.yml'), 'utf8')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);

let promtool: string;

beforeAll(async () => {
  promtool = await unpackedProgram({ program: 'promtool', package: 'prometheus', path: 'usr/bin/promtool' });
}, 300_000);

it('has rules and an example configuration that Prometheus takes', async () => {
  const checked = await run(promtool, ['check', 'rules', join(FOLDER, 'rules.yml')]);
  expect(checked.stdout).toContain(`SUCCESS: ${rules.length} rules found`);
  await run(promtool, ['check', 'config', '--syntax-only', join(FOLDER, 'prometheus.yml')]);
});

it('alerts when it should, and not when it should not', async () => {
  const { stdout } = await run(promtool, ['test', 'rules', 'rules.test.yml'], { cwd: FOLDER });
  expect(stdout).toContain('SUCCESS');
});

it('has a test for every alert', () => {
  const tests = readFileSync(join(FOLDER, 'rules.test.yml'), 'utf8');
  const tested = new Set([...tests.matchAll(/alertname: (\w+)/g)].map(([, name]) => name));
  expect([...tested].sort()).toEqual(rules.map(({ alert }) => alert).sort());
});

it('sends every alert to an entry of the runbook that there is', () => {
  const anchors = headingAnchors(readFileSync(join(ROOT, 'docs', 'runbook.md'), 'utf8'));
  for (const { alert, annotations, labels } of rules) {
    const [file, anchor] = annotations.runbook.split('#');
    expect({ alert, file, known: anchors.includes(anchor ?? '') }).toEqual({
      alert,
      file: 'docs/runbook.md',
      known: true,
    });
    expect(['warning', 'critical']).toContain(labels.severity);
  }
});

it('scrapes the jobs that the rules are about', () => {
  const { scrape_configs } = parse(readFileSync(join(FOLDER, 'prometheus.yml'), 'utf8')) as {
    scrape_configs: { job_name: string }[];
  };
  const jobs = scrape_configs.map(({ job_name }) => job_name);
  const named = rules.flatMap(({ expr }) => [...expr.matchAll(/job="([^"]+)"/g)].map(([, job]) => job));
  expect(new Set(named)).toEqual(new Set(jobs));
});
