import { userInfo } from 'node:os';
import { environment } from '../config';

/** Who runs the command: the user of the operating system. */
export function operatorName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user id that has no name.
    return environment['USER'] ?? `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
