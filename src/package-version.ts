import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface PackageDocument {
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** The package.json of this package. */
export function packageDocument(): PackageDocument {
  return JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as PackageDocument;
}

/** The version of this package. */
export function packageVersion(): string {
  return packageDocument().version;
}
