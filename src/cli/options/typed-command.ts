import { environment } from '../../config';

/** Every command, for texts that name one; test/cli/typed-command.test.ts compares them with the program's. */
export const COMMAND_WORDS = [
  ...['init', 'doctor', 'up', 'plan', 'start', 'status', 'watch', 'pause', 'rollback', 'kill'],
  ...['worker', 'gateway', 'ui', 'demo'],
  ...['checkpoints', 'verdicts', 'history', 'gates', 'logs', 'report', 'replay'],
  ...['resume', 'promote', 'approve', 'amend', 'reevaluate', 'finish', 'emergency-rollback', 'forget'],
  ...['assess', 'parity', 'identity', 'judge', 'prices', 'capacity', 'train', 'effects'],
  ...['export', 'verify', 'migrate-workers', 'completion'],
];

const COMMAND = new RegExp(`(?<![\\w./-])cutover (?=\\[options\\]|(?:${COMMAND_WORDS.join('|')})\\b)`, 'g');

/**
 * A text with its commands as this user can type them: who came by npx or by a script of npm has no `cutover` on PATH.
 * What came out of npx already stays.
 */
export function asTyped(text: string): string {
  const isByNpm = ['exec', 'run-script'].includes(environment['npm_command'] ?? '');
  return isByNpm ? text.replace(COMMAND, (found, at: number) => `${prefix(text, at)}${found}`) : text;
}

function prefix(text: string, at: number): string {
  return text.slice(0, at).endsWith('npx ') ? '' : 'npx ';
}
