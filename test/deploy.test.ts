import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { Command } from 'commander';
import { parse, parseAllDocuments } from 'yaml';
import { registerMigrateWorkers } from '../src/cli/operate/migrate-workers';
import { registerGateway } from '../src/cli/run/gateway';
import { registerWorker } from '../src/cli/run/worker';
import { loadConfiguration } from '../src/config';
// Kubernetes 1.34 (Apache-2.0), strict, by kubernetes-validate 1.37.0 on PyPI; only what our manifests reach.
import kubernetes from './support/documents/kubernetes-schema.json';
import { isAllowed, type Peer } from './support/documents/network-policies';
import { installedProgram } from './support/servers/debian-program';

const run = promisify(execFile);
const DEPLOY = join(__dirname, '..', 'deploy');
const KUBERNETES = join(DEPLOY, 'kubernetes');
const SYSTEMD = join(DEPLOY, 'systemd');

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: manifests of several kinds, looked into as they are
  readonly spec: any;
}

const manifests = ['gateways.yaml', 'worker.yaml', 'network-policies.yaml'].flatMap((file) =>
  parseAllDocuments(readFileSync(join(KUBERNETES, file), 'utf8')).map((one) => one.toJS() as Manifest),
);

function manifest(kind: string, name: string): Manifest {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`expected a ${kind} called ${name}`);
  return found;
}

/** The commands of the program with their options, by name. */
function programCommands(): ReadonlyMap<string, readonly string[]> {
  const program = new Command();
  registerWorker(program);
  registerGateway(program);
  registerMigrateWorkers(program);
  return new Map(program.commands.map((each) => [each.name(), each.options.map(({ long }) => long ?? '')]));
}

function expectKnown([name = '', ...words]: readonly string[]): void {
  const options = programCommands().get(name);
  expect({ name, known: options !== undefined }).toEqual({ name, known: true });
  expect(options).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
}

describe('the Kubernetes manifests', () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema(kubernetes, 'kubernetes');

  it.each(manifests.map((one) => [`${one.kind} ${one.metadata.name}`, one] as const))(
    '%s is valid by the schemas of Kubernetes, without an unknown field',
    (_name, one) => {
      const group = one.apiVersion.includes('/')
        ? one.apiVersion.replace('.k8s.io', '')
        : `core/${one.apiVersion}`;
      const definition = `io.k8s.api.${group.replace('/', '.')}.${one.kind}`;
      const validate = ajv.getSchema(`kubernetes#/$defs/${definition}`);
      if (validate === undefined) throw new Error(`expected a schema of ${definition}`);
      validate(one);
      expect(validate.errors ?? []).toEqual([]);
    },
  );

  it('have a patch by which new workers take over before old ones end', () => {
    const worker = manifest('Deployment', 'cutover-worker');
    const patch = parse(readFileSync(join(KUBERNETES, 'worker-build.yaml'), 'utf8')) as Manifest;
    expect(patch).toMatchObject({
      apiVersion: worker.apiVersion,
      kind: worker.kind,
      metadata: { name: 'cutover-worker' },
    });
    const [container] = worker.spec.template.spec.containers;
    const [{ name, env, ...rest }] = patch.spec.template.spec.containers;
    expect(name).toBe(container.name);
    const patched = structuredClone(worker);
    patched.spec.progressDeadlineSeconds = patch.spec.progressDeadlineSeconds;
    patched.spec.template.spec.containers = [{ ...container, ...rest, env: [...container.env, ...env] }];
    const validate = ajv.getSchema('kubernetes#/$defs/io.k8s.api.apps.v1.Deployment');
    validate?.(patched);
    expect(validate?.errors ?? []).toEqual([]);
    const tag = container.image.slice(container.image.lastIndexOf(':') + 1);
    expect(env).toContainEqual({ name: 'CUTOVER_BUILD_ID', value: tag });
    const [, , script] = rest.lifecycle.postStart.exec.command;
    expectKnown(script.slice(script.indexOf('migrate-workers')).split(' '));
    expect(worker.spec.strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
  });

  it('refuse a misspelt field, so that the check above means something', () => {
    const validate = ajv.getSchema('kubernetes#/$defs/io.k8s.api.core.v1.Service');
    const service = manifest('Service', 'cutover');
    expect(validate?.({ ...service, spec: { ...service.spec, selectors: {} } })).toBe(false);
  });

  it('lead the worker to every gateway, ready or not, by the name in the configuration', () => {
    const { gatewayDiscovery, adminHosts, callers, metricsToken, gateway } = loadConfiguration(
      join(KUBERNETES, 'cutover.yaml'),
    );
    const { hostname, port } = new URL(gatewayDiscovery?.admin ?? '');
    const service = manifest('Service', hostname);
    expect(service.spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
    expect(service.spec.ports).toEqual([{ name: 'admin', port: Number(port), targetPort: 'admin' }]);
    expect(adminHosts).toContain(hostname);
    // Both listen beyond loopback: without callers and a token for metrics they would refuse to start.
    expect(callers).not.toHaveLength(0);
    expect(metricsToken).toBe('env:CUTOVER_METRICS_TOKEN');
    const [container] = manifest('StatefulSet', 'cutover-gateway').spec.template.spec.containers;
    expect(container.volumeMounts).toContainEqual({ name: 'state', mountPath: gateway.stateDirectory });
  });

  it('select the pods that there are', () => {
    const pods = manifests.flatMap(({ spec }) =>
      spec.template === undefined ? [] : [spec.template.metadata.labels],
    );
    const selectors = manifests.flatMap(({ spec }) => [
      spec.selector?.matchLabels ?? spec.selector ?? spec.podSelector?.matchLabels ?? {},
    ]);
    for (const selector of selectors) expect(pods).toContainEqual(expect.objectContaining(selector));
  });

  it('run commands and options that the program has, as no root, on a file system that is read only', () => {
    for (const { kind, spec } of manifests.filter((one) => one.spec.template !== undefined)) {
      const pod = spec.template.spec;
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true });
      for (const container of pod.containers) {
        expectKnown(container.args);
        expect(container.securityContext).toMatchObject({ readOnlyRootFilesystem: true });
        expect(container.env).toContainEqual({ name: 'CUTOVER_CONFIG', value: '/etc/cutover/cutover.yaml' });
        const ports = container.ports.map(({ name }: { name: string }) => name);
        expect({ kind, port: ports.includes(container.livenessProbe.httpGet.port) }).toEqual({
          kind,
          port: true,
        });
      }
    }
  });

  it('give requests in flight the time that the configuration gives them', () => {
    const { gateway } = loadConfiguration(join(KUBERNETES, 'cutover.yaml'));
    const { terminationGracePeriodSeconds } = manifest('StatefulSet', 'cutover-gateway').spec.template.spec;
    expect(terminationGracePeriodSeconds * 1_000).toBeGreaterThan(gateway.drain + 5_000);
  });

  describe('let nothing in or out', () => {
    const gateway = podOf('StatefulSet', 'cutover-gateway');
    const worker = podOf('Deployment', 'cutover-worker');
    const resolver = { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
    const temporal = { namespace: 'temporal', labels: {} };
    const prometheus = { namespace: 'monitoring', labels: {} };
    const application = { namespace: 'shop', labels: {} };

    it.each<[string, Peer, Peer, number, boolean]>([
      ['a gateway to a provider', gateway, { address: '104.18.7.192' }, 443, true],
      ['a gateway to a provider in the clear', gateway, { address: '104.18.7.192' }, 80, false],
      ['a gateway to the metadata service', gateway, { address: '169.254.169.254' }, 443, false],
      ["a gateway to Azure's own services", gateway, { address: '168.63.129.16' }, 443, false],
      ['a gateway to a private address', gateway, { address: '10.1.2.3' }, 443, false],
      ['a worker to a private address', worker, { address: '192.168.1.1' }, 443, false],
      ['a gateway to names', gateway, resolver, 53, true],
      ['a gateway to Temporal', gateway, temporal, 7233, false],
      ['a gateway to another gateway', gateway, gateway, 8081, false],
      ['a worker to names', worker, resolver, 53, true],
      ['a worker to Temporal', worker, temporal, 7233, true],
      ["a worker to Temporal's database", worker, temporal, 5432, false],
      ['a worker to a provider', worker, { address: '104.18.7.192' }, 443, true],
      ['a worker to a gateway, admin', worker, gateway, 8081, true],
      ['a worker to a gateway, data', worker, gateway, 8080, false],
      ['an application to a gateway, data', application, gateway, 8080, true],
      ['an application to a gateway, admin', application, gateway, 8081, false],
      ['an application to the metrics of a worker', application, worker, 9464, false],
      ['Prometheus to a gateway, admin', prometheus, gateway, 8081, true],
      ['Prometheus to the metrics of a worker', prometheus, worker, 9464, true],
    ])('%s', (_, from, to, port, allowed) => {
      expect(isAllowed(manifests, from, to, port)).toBe(allowed);
    });

    function podOf(kind: string, name: string): Peer {
      const { metadata, spec } = manifest(kind, name).spec.template;
      const [{ ports }] = spec.containers;
      return { namespace: 'cutover', labels: metadata.labels, ports };
    }
  });

  it('hold no secret and name only files that there are', () => {
    const kustomization = parse(readFileSync(join(KUBERNETES, 'kustomization.yaml'), 'utf8')) as {
      resources: string[];
      configMapGenerator: { name: string; files: string[] }[];
    };
    const [map] = kustomization.configMapGenerator;
    expect(readdirSync(KUBERNETES)).toEqual(
      expect.arrayContaining([...kustomization.resources, ...(map?.files ?? [])]),
    );
    expect(manifests.map(({ kind }) => kind)).not.toContain('Secret');
    for (const { spec } of manifests.filter((one) => one.spec.template !== undefined)) {
      expect(spec.template.spec.volumes[0].configMap.name).toBe(map?.name);
    }
  });
});

describe('the systemd units', () => {
  const units = readdirSync(SYSTEMD);

  it('are gateway and worker', () => {
    expect(units).toEqual(['cutover-gateway.service', 'cutover-worker.service']);
  });

  it.each(units)('%s runs a command and options that the program has', (unit) => {
    const [, words = ''] =
      /^ExecStart=\/usr\/bin\/cutover (.+)$/m.exec(readFileSync(join(SYSTEMD, unit), 'utf8')) ?? [];
    expectKnown(words.split(' '));
  });

  it('are in order for systemd', async () => {
    const analyze = await installedProgram({
      program: 'systemd-analyze',
      package: 'systemd',
      path: 'usr/bin/systemd-analyze',
    });
    const folder = mkdtempSync(join(tmpdir(), 'cutover-units-'));
    try {
      for (const unit of units) {
        // Where the command is installed is another machine's matter; that the line can be run is checked.
        const text = readFileSync(join(SYSTEMD, unit), 'utf8').replace('/usr/bin/cutover', process.execPath);
        writeFileSync(join(folder, unit), text);
      }
      const files = units.map((unit) => join(folder, unit));
      const { stdout, stderr } = await run(analyze, ['verify', '--man=no', ...files], { timeout: 50_000 });
      expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes(folder))).toEqual([]);
      const misspelt = join(folder, 'misspelt.service');
      writeFileSync(misspelt, '[Service]\nExecStart=/bin/true\nRestartSecs=1s\n');
      const noticed = await run(analyze, ['verify', '--man=no', misspelt], { timeout: 50_000 });
      expect(noticed.stderr).toContain("'RestartSecs'");
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 300_000);
});
