import { join } from 'node:path';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { fileProblem } from '../../core/text/file-problem';
import { probeDisk } from '../../gateway/routing/record-file';

/** What a gateway cannot do where its state directory cannot be written, which its log alone would say; null where it can. */
export async function stateDirectoryNote({
  gateway: { stateDirectory },
}: Configuration): Promise<string | null> {
  try {
    await probeDisk(join(stateDirectory, `${process.pid}.probe`));
    return null;
  } catch (error) {
    return `warning: the state directory ${stateDirectory} cannot be written (${fileProblem(error)}): the gateway serves, but refuses to raise any share, and a restart forgets its routing. Make it writable, make room, or name another by gateway.stateDirectory in the configuration`;
  }
}
