import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { fileProblem } from '../../core/text/file-problem';

/** What a gateway cannot do where its state directory cannot be written, which its log alone would say; null where it can. */
export function stateDirectoryNote({ gateway: { stateDirectory } }: Configuration): string | null {
  try {
    mkdirSync(stateDirectory, { recursive: true });
    const probe = join(stateDirectory, `${process.pid}.probe`);
    try {
      // As large as a record can be: a full disk may take less.
      writeFileSync(probe, Buffer.alloc(8_192));
    } finally {
      rmSync(probe, { force: true });
    }
    return null;
  } catch (error) {
    return `warning: the state directory ${stateDirectory} cannot be written (${fileProblem(error)}): the gateway serves, but refuses to raise any share, and a restart forgets its routing. Make it writable, make room, or name another by gateway.stateDirectory in the configuration`;
  }
}
