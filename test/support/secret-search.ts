import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrationHarness } from './migrations/migration-harness';

/** Something that must hold no secret. */
interface Place {
  readonly name: string;
  readonly content: Buffer;
}

/**
 * Where a secret shows in what a migration leaves behind: Temporal's database (histories, queries, failures), what
 * workers and gateways printed, the gateways' logs and state, and what else is given. `control` is a text that must be found, so that
 * a search that sees nothing is noticed.
 */
export function findSecrets(
  harness: MigrationHarness,
  control: string,
  texts: Readonly<Record<string, string>> = {},
): string[] {
  const given = Object.entries(texts).map(([name, text]) => ({ name, content: Buffer.from(text) }));
  const all = [...places(harness), ...given];
  const seen = all.filter(({ content }) => content.includes(control));
  if (seen.length === 0) throw new Error(`expected to find ${control} somewhere in ${all.length} places`);
  return Object.entries(harness.secrets).flatMap(([secret, value]) =>
    formsOf(value).flatMap((form) =>
      all
        .filter(({ content }) => content.includes(form))
        .map(({ name }) => `${secret} in ${name} as ${form}`),
    ),
  );
}

function places(harness: MigrationHarness): Place[] {
  const files = ['temporal.db', 'temporal.db-wal', 'cutover.json'].map((name) => join(harness.folder, name));
  for (const { logFile, stateDirectory } of harness.gateways) {
    const state = readdirSync(stateDirectory, { recursive: true, withFileTypes: true });
    files.push(
      logFile,
      ...state.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name)),
    );
  }
  const processes = [...harness.workers, ...harness.gateways.map(({ process }) => process)];
  return [
    ...files.filter((file) => existsSync(file)).map((file) => ({ name: file, content: readFileSync(file) })),
    ...processes.map(({ pid, output }) => ({ name: `process ${pid}`, content: Buffer.from(output()) })),
  ];
}

/** The value itself and its base64 at each of the three alignments that it may have inside a longer text. */
function formsOf(value: string): string[] {
  const aligned = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)]).toString('base64');
    // The first and last digits also carry bits of the neighbours.
    return text.slice(offset === 0 ? 0 : offset + 1, -4).replace(/=+$/, '');
  });
  return [value, ...aligned];
}
