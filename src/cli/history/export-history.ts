import { writeFileSync } from 'node:fs';
import { fileProblem } from '../../core/text/file-problem';
import { CliError, EXIT } from '../options/cli-error';
import { type RunFlags, withClient } from '../options/connection';
import { printJson, printLine } from '../options/output';
import { fetchDocument } from './history-source';

/** Writes the whole history of a route's migration, the newest without `--run`, with its checkpoints, as one JSON document. */
export async function exportHistory(route: string, file: string, flags: RunFlags): Promise<void> {
  const document = await withClient(flags, (client) => fetchDocument(client, route, flags));
  try {
    writeFileSync(file, `${JSON.stringify(document)}\n`, { flag: 'wx' });
  } catch (cause) {
    throw new CliError(`cannot write ${file}: ${fileProblem(cause)}`, EXIT.badInput, { cause });
  }
  const { runs, checkpoints } = document;
  if (flags.json === true) {
    printJson({ file, route, runs: runs.length, checkpoints: checkpoints?.length ?? null });
  } else
    printLine(
      `wrote ${file}: ${runs.length === 1 ? 'one run' : `${runs.length} runs`} of a migration of ${route}`,
    );
}
