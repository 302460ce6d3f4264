import { accessSync, constants, mkdirSync } from 'node:fs';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { fileProblem } from '../../core/text/file-problem';

/** What a gateway cannot do where its state directory cannot be written, which its log alone would say; null where it can. */
export function stateDirectoryNote({ gateway: { stateDirectory } }: Configuration): string | null {
  try {
    mkdirSync(stateDirectory, { recursive: true });
    accessSync(stateDirectory, constants.W_OK);
    return null;
  } catch (error) {
    return `warning: the state directory ${stateDirectory} cannot be written (${fileProblem(error)}): the gateway serves, but refuses to raise any share, and a restart forgets what it was told. Make it writable, or name another by gateway.stateDirectory in the configuration`;
  }
}
