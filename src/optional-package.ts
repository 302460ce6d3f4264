import { sep } from 'node:path';
import { BadInput } from './core/configuration/bad-input';
import { packageDocument } from './package-version';

/** What package.json has among its optional peers: large, and needed by few of those who install. */
export type OptionalPackage = '@duckdb/node-api' | '@temporalio/testing' | '@temporalio/worker';

/**
 * What `load` gives, which imports `packages` or some of them. `need` begins a sentence that says what needs them. Throws
 * `BadInput` with the command that installs them when they are missing.
 */
export async function loadOptional<Loaded>(
  load: () => Promise<Loaded>,
  need: string,
  packages: readonly OptionalPackage[],
): Promise<Loaded> {
  try {
    return await load();
  } catch (cause) {
    if (!packages.some((name) => isMissing(name, cause))) throw cause;
    throw new BadInput(`${need}, which is not installed: ${remedy(packages)}`, { cause });
  }
}

function remedy(packages: readonly OptionalPackage[]): string {
  // What npx runs is in a folder of its own, which nobody installs into.
  if (!__dirname.includes(`${sep}_npx${sep}`))
    return `run \`${installCommand(packages)}\` where cutover is installed`;
  const further = packages.map((name) => `--package ${withVersion(name)}`).join(' ');
  return `with npx, run \`npx --package CUTOVER ${further} cutover ...\`, where CUTOVER is what npx was given so far`;
}

/** Shown to users, such as `npm install @temporalio/worker@1.24.0`. */
export function installCommand(packages: readonly OptionalPackage[]): string {
  return `npm install ${packages.map(withVersion).join(' ')}`;
}

function withVersion(name: OptionalPackage): string {
  return `${name}@${packageDocument().peerDependencies[name]?.replace('^', '')}`;
}

/** Whether `error` says that this package, and nothing else, cannot be found. */
export function isMissing(name: OptionalPackage, error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return (
    /^(ERR_)?MODULE_NOT_FOUND$/.test(code ?? '') && message.split('\n')[0]?.includes(`'${name}`) === true
  );
}
