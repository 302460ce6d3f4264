import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { Command } from 'commander';
import { parse } from 'yaml';
import { registerGateway } from '../src/cli/run/gateway';
import { registerWorker } from '../src/cli/run/worker';
import { environment } from '../src/config';
import { SEARCH_ATTRIBUTES } from '../src/contract';
import { startTemporalServer } from '../src/temporal-server/dev-server';
// From github.com/compose-spec/compose-go/v2 v2.16.2, schema/compose-spec.json (Apache-2.0); only reformatted.
import composeSpecification from './support/documents/compose-spec.json';
import { ownTemporal } from './support/servers/own-temporal';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: unknown;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly networks: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
  readonly restart: string;
}

const root = join(__dirname, '..');
const text = readFileSync(join(root, 'temporal-docker-compose.yml'), 'utf8');
const compose = parse(text, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: object;
  readonly networks: object;
};
const services = Object.entries(compose.services);
const PINNED = /^[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?$/;

describe('temporal-docker-compose.yml', () => {
  test('is valid by the Compose specification', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(ajv);
    const validate = ajv.compile(composeSpecification);
    validate(compose);
    expect(validate.errors).toBeNull();
  });

  test.each(services)('%s has an image with a pinned version', (_name, { image }) => {
    expect(image).toMatch(PINNED);
  });

  test('every published port is on 127.0.0.1', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports).not.toEqual([]);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\$\{[A-Z0-9_]+:-\d+\}:\d+$/);
  });

  test('every named volume and network is declared, and every declared one is used', () => {
    const volumes = services
      .flatMap(([, service]) => service.volumes ?? [])
      .map((mount) => mount.split(':')[0]);
    const named = volumes.filter((source) => !source?.startsWith('.'));
    expect([...new Set(named)].sort()).toEqual(Object.keys(compose.volumes).sort());
    const networks = new Set(services.flatMap(([, service]) => service.networks));
    expect([...networks].sort()).toEqual(Object.keys(compose.networks).sort());
  });

  test('every variable is in .env.example, and nothing else is', () => {
    const used = [...text.matchAll(/\$\{([A-Z0-9_]+)/g)].map((match) => match[1]);
    const example = readFileSync(join(root, '.env.example'), 'utf8');
    const offered = [...example.matchAll(/^([A-Z0-9_]+)=/gm)].map((match) => match[1]);
    expect(offered.sort()).toEqual([...new Set(used)].sort());
  });

  test('no secret has a value: neither in the file nor in .env.example', () => {
    const example = readFileSync(join(root, '.env.example'), 'utf8');
    for (const name of ['POSTGRES_PASSWORD', 'CUTOVER_ADMIN_TOKEN']) {
      expect(example).toMatch(new RegExp(`^${name}=$`, 'm'));
      expect(text).not.toMatch(new RegExp(`\\$\\{${name}(?!:\\?)`));
    }
    for (const name of ['LEGACY_API_KEY', 'CANDIDATE_API_KEY']) {
      expect(example).toMatch(new RegExp(`^${name}=$`, 'm'));
      expect(text).toContain(`\${${name}-}`);
    }
  });

  test('each condition can come true: healthy ones have a check, completed ones end', () => {
    for (const [name, service] of services) {
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        const dependency = compose.services[needed];
        if (dependency === undefined) throw new Error(`${name} needs ${needed}, which there is not`);
        if (condition === 'service_healthy') expect(dependency.healthcheck).toBeDefined();
        else expect(dependency.restart).toMatch(/^on-failure/);
      }
    }
  });

  test('scripts and settings that are mounted exist, and the configuration is where it is looked for', () => {
    for (const [, service] of services) {
      for (const mount of service.volumes ?? []) {
        const [source = '', target] = mount.split(':');
        if (source.startsWith('./deploy/')) expect(existsSync(join(root, source))).toBe(true);
        if (source.endsWith('cutover.yaml')) expect(target).toBe(service.environment?.CUTOVER_CONFIG);
      }
    }
  });

  test('our own services write nowhere but to their volumes, and gateways reach neither Temporal nor its database', () => {
    const own = services.filter(([, service]) => service.build !== undefined);
    expect(own.map(([name]) => name)).toEqual(['worker', 'gateway-1', 'gateway-2']);
    for (const [name, service] of own) {
      expect(service.read_only).toBe(true);
      if (name.startsWith('gateway')) expect(service.networks).toEqual(['gateways']);
    }
  });
});

test('our services use commands and options that the program has', () => {
  const program = new Command();
  registerWorker(program);
  registerGateway(program);
  for (const [, { build, command }] of services) {
    if (build === undefined) continue;
    const [name, ...words] = command ?? [];
    const known = program.commands.find((registered) => registered.name() === name)?.options ?? [];
    const options = words.filter((word) => word.startsWith('--'));
    expect(known.map((option) => option.long)).toEqual(expect.arrayContaining(options));
    expect(program.commands.map((registered) => registered.name())).toContain(name);
  }
});

describe('the Dockerfile', () => {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8');

  test('builds on pinned images and runs as a user other than root', () => {
    const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);
    expect(images).toHaveLength(2);
    for (const image of images) expect(image).toMatch(PINNED);
    expect([...dockerfile.matchAll(/^USER (\S+)/gm)].map((match) => match[1])).toEqual(['node']);
  });

  test('copies only what exists and .dockerignore lets through', () => {
    const admitted = readFileSync(join(root, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      (match) => match[1]?.split(' ') ?? [],
    );
    expect(copied.map((path) => path.replace('./', '')).sort()).toEqual(admitted.sort());
    for (const path of copied) expect(existsSync(join(root, path))).toBe(true);
  });
});

describe('the namespace setup', () => {
  test('registers every search attribute on a Temporal that knows none, and may run again', async () => {
    const executable = await ownTemporal();
    const bin = mkdtempSync(join(tmpdir(), 'cutover-compose-'));
    symlinkSync(executable, join(bin, 'temporal'));
    const server = await startTemporalServer({
      executable,
      searchAttributes: {},
      uiPort: 'off',
    });
    const env = {
      HOME: bin,
      PATH: `${bin}:${environment.PATH}`,
      TEMPORAL_ADDRESS: server.address,
      TEMPORAL_NAMESPACE: 'made-by-setup',
      TEMPORAL_RETENTION: '90d',
    };
    try {
      const script = join(root, 'deploy', 'temporal', 'setup-namespace.sh');
      for (let run = 1; run <= 2; run++) await promisify(execFile)('/bin/sh', [script], { env });
      const { stdout } = await promisify(execFile)('temporal', ['operator', 'search-attribute', 'list'], {
        env,
      });
      for (const [name, kind] of Object.entries(SEARCH_ATTRIBUTES)) {
        expect(stdout).toMatch(new RegExp(`${name}\\s+${kind}`));
      }
    } finally {
      await server.stop();
      await rm(bin, { recursive: true, force: true });
    }
  }, 900_000);
});
