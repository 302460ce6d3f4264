import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readPrintedKey } from './core/access/credential-answer';
import { BadInput } from './core/configuration/bad-input';
import { type Configuration, configurationSchema } from './core/configuration/configuration-schema';
import { type CredentialConfiguration, credentialNameOf } from './core/configuration/credential-schema';
import { parseDocument } from './core/configuration/schema-parts';
import { formatDuration } from './core/text/duration';
import { fileProblem } from './core/text/file-problem';
import { readYaml } from './yaml-document';

/** The only reader of the process environment. */
export const environment = process.env as Readonly<Record<string, string | undefined>>;

/** Thrown when a reference such as `env:NAME` leads to nothing; never carries the secret. */
export class UnresolvedSecret extends Error {
  override readonly name = 'UnresolvedSecret';
  constructor(
    readonly reference: string,
    found: string,
  ) {
    super(`expected a secret at ${reference}, ${found}`);
  }
}

/** The secret that `env:NAME` or `file:/path` refers to; throws `UnresolvedSecret`. */
export function resolveSecret(reference: string): string {
  const [kind, ...rest] = reference.split(':');
  const place = rest.join(':');
  if (kind === 'env') {
    const value = environment[place];
    if (value === undefined || value === '') {
      throw new UnresolvedSecret(
        reference,
        `but the environment variable ${place} is not set: ${remedyFor(place)}`,
      );
    }
    return value;
  }
  if (kind === 'file') {
    try {
      return readFileSync(place, 'utf8').trim();
    } catch (error) {
      throw new UnresolvedSecret(
        reference,
        `but the file cannot be read: ${fileProblem(error)}: put the secret there, or name another reference in the configuration`,
      );
    }
  }
  throw new UnresolvedSecret(reference, 'but only env:NAME and file:/path are known');
}

/** What to do about a variable that is not set, in the words of a shell. */
function remedyFor(name: string): string {
  return name === 'CUTOVER_ADMIN_TOKEN'
    ? `it is the secret between cutover and its gateways; make one (export ${name}=$(openssl rand -hex 24)) and give every gateway, worker and terminal the same`
    : `set it where this runs (export ${name}=...), or name another reference in the configuration`;
}

/**
 * Resolves what a configuration refers to, keys that its commands print included: each is run once, when it is needed
 * first, and waited for. For programs that serve nothing meanwhile; the resolver throws `UnresolvedSecret`.
 */
export function secretResolver({
  credentials,
}: Pick<Configuration, 'credentials'>): (reference: string) => string {
  const printed = new Map<string, string>();
  return (reference) => {
    const name = credentialNameOf(reference);
    if (name === null) return resolveSecret(reference);
    const key = printed.get(name) ?? printedKey(reference, credentials[name]);
    printed.set(name, key);
    return key;
  };
}

function printedKey(reference: string, credential: CredentialConfiguration | undefined): string {
  if (credential === undefined)
    throw new UnresolvedSecret(reference, 'but the configuration has no credential of this name');
  const [program = '', ...args] = credential.command;
  const { error, status, signal, stdout } = spawnSync(program, args, {
    ...{ timeout: credential.timeout, killSignal: 'SIGKILL', maxBuffer: OUTPUT_MOST_BYTES },
    ...{ stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' },
  });
  if (error !== undefined) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new UnresolvedSecret(
      reference,
      code === 'ETIMEDOUT'
        ? `but its command printed no key within ${formatDuration(credential.timeout)}`
        : `but its command cannot be run: ${code}`,
    );
  }
  if (status !== 0)
    throw new UnresolvedSecret(reference, `but its command ended with ${signal ?? `exit code ${status}`}`);
  const read = readPrintedKey(stdout, credential.lifetime, Date.now());
  if (typeof read === 'string') throw new UnresolvedSecret(reference, `but of its command: ${read}`);
  return read.key;
}

const OUTPUT_MOST_BYTES = 65_536;

/**
 * Reads YAML or JSON; throws `InvalidDocument` when it cannot be read or parsed. `whatToDo` is said where there is no
 * such file.
 */
export function readDocument(path: string, whatToDo = ''): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const hint = isAbsent && whatToDo !== '' ? `: ${whatToDo}` : '';
    throw new BadInput(`cannot read ${path}: ${fileProblem(error)}${hint}`, { cause: error });
  }
  // Nothing, or nothing but comments.
  if (!/^\s*[^\s#]/m.test(text)) {
    throw new BadInput(`${path} is empty${whatToDo === '' ? '' : `: ${whatToDo}`}`);
  }
  return readYaml(text, path);
}

/** The configuration file with every default filled in; throws `InvalidDocument`. */
export function loadConfiguration(path: string): Configuration {
  const whatToDo = '`cutover init` writes one, --config or CUTOVER_CONFIG names another';
  return parseDocument(configurationSchema, readDocument(path, whatToDo), path);
}

/** Where the configuration is: the argument, else CUTOVER_CONFIG, else ./cutover.yaml. */
export function configurationPath(argument?: string): string {
  return argument ?? environment['CUTOVER_CONFIG'] ?? 'cutover.yaml';
}

/** Where a worker shows its metrics: the argument, else CUTOVER_METRICS, else nowhere. */
export function metricsAddress(argument?: string): string | undefined {
  return argument ?? (environment['CUTOVER_METRICS'] || undefined);
}

/** The build of the workers: the flags, else CUTOVER_DEPLOYMENT and CUTOVER_BUILD_ID, else none. */
export function workerBuild(flags: { readonly deployment?: string; readonly buildId?: string }): {
  readonly deployment: string | undefined;
  readonly buildId: string | undefined;
} {
  return {
    deployment: flags.deployment ?? (environment['CUTOVER_DEPLOYMENT'] || undefined),
    buildId: flags.buildId ?? (environment['CUTOVER_BUILD_ID'] || undefined),
  };
}

/** The Python that has the package `cutover-training`: CUTOVER_TRAINING_PYTHON, else python3. */
export function trainingPython(): string {
  return environment['CUTOVER_TRAINING_PYTHON'] || 'python3';
}

/** Where this program keeps what it can make again: a Temporal server, its build. */
export function cacheDirectory(): string {
  return join(environment['XDG_CACHE_HOME'] ?? join(home(), '.cache'), 'cutover');
}

function home(): string {
  try {
    return homedir();
  } catch (cause) {
    // A container may run as a user id that no list of users has.
    const what =
      'expected HOME or XDG_CACHE_HOME, which say where Cutover keeps a Temporal server, got neither';
    throw new BadInput(what, { cause });
  }
}

/** Where a worker finds golden prompts that a plan names, and where it keeps their answers. */
export function parityDirectories(): { readonly golden: string; readonly answers: string } {
  return {
    golden: environment['CUTOVER_GOLDEN_DIR'] ?? process.cwd(),
    answers: environment['CUTOVER_PARITY_DIR'] ?? join('.cutover', 'parity'),
  };
}
