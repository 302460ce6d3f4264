import { hostname, userInfo } from 'node:os';
import { environment } from '../../config';

/** Who runs the command: the user of the operating system. */
export function operatorName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user id that has no name.
    return environment['USER'] ?? `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

/**
 * Who asks and from where, as it is recorded: `root@host via cli`, or `ana (root@host via cli)` where a name was
 * given, which says nothing about who really was at the keyboard.
 */
export function recordedOperator(via: 'cli' | 'ui', given?: string): string {
  const origin = `${operatorName()}@${hostname()} via ${via}`;
  return given === undefined || given === '' ? origin : `${given} (${origin})`;
}
