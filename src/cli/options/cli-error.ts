/**
 * Exit codes of every command, documented in `cutover --help`.
 * 0 done; 1 unexpected failure; 2 bad input; 3 refused by the migration or a gateway;
 * 4 something could not be reached; 5 the answer is no (rolled back, rejected, a check failed).
 */
export const EXIT = { ok: 0, failure: 1, badInput: 2, refused: 3, unreachable: 4, negative: 5 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a command throws to end with one clear message and an exit code; never shown with a stack. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    readonly exitCode: ExitCode,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
