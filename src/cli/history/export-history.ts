import { writeFileSync } from 'node:fs';
import { CliError, EXIT } from '../options/cli-error';
import { type ConnectionFlags, withClient } from '../options/connection';
import { printJson, printLine } from '../options/output';
import { fetchDocument } from './history-source';

/** Writes the whole history of a route's newest migration, with its checkpoints, as one JSON document. */
export async function exportHistory(route: string, file: string, flags: ConnectionFlags): Promise<void> {
  const document = await withClient(flags, (client) => fetchDocument(client, route));
  try {
    writeFileSync(file, `${JSON.stringify(document)}\n`, { flag: 'wx' });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'EEXIST' ? 'it is there already' : `it failed (${code})`;
    throw new CliError(`expected to write ${file}, but ${why}`, EXIT.badInput, { cause });
  }
  const { runs, checkpoints } = document;
  if (flags.json === true) {
    printJson({ file, route, runs: runs.length, checkpoints: checkpoints?.length ?? null });
  } else printLine(`wrote ${file}: ${runs.length} runs of the newest migration of ${route}`);
}
