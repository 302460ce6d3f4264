import { BadInput } from '../../core/configuration/bad-input';
import { EffectProblem } from '../../core/effects/effect-problem';
import { fileProblem, isFileProblem } from '../../core/text/file-problem';
import { CliError, EXIT, type ExitCode } from './cli-error';

/** Errors that say all that a user needs, by name, so that this file loads none of the modules that throw them. */
const EXIT_BY_NAME: Readonly<Record<string, ExitCode>> = {
  UnresolvedSecret: EXIT.badInput,
  UnusableCredential: EXIT.badInput,
  EncodedPayloads: EXIT.badInput,
  CodecFailed: EXIT.badInput,
  InvalidCommand: EXIT.badInput,
  InvalidTemporalConfiguration: EXIT.badInput,
  OpenGateway: EXIT.badInput,
  PageMissing: EXIT.badInput,
  OpenMetrics: EXIT.badInput,
  MetricsAddressTaken: EXIT.unreachable,
  StateDirectoryTaken: EXIT.badInput,
  AnswersTaken: EXIT.refused,
  NoMigration: EXIT.badInput,
  NoTraining: EXIT.badInput,
  TrainingAlreadyRuns: EXIT.refused,
  NoTrainingWorker: EXIT.unreachable,
  MigrationEnded: EXIT.negative,
  InvalidHistory: EXIT.badInput,
  UnreadableWindow: EXIT.badInput,
  MigrationAlreadyRuns: EXIT.refused,
  CommandRefused: EXIT.refused,
  TemporalUnreachable: EXIT.unreachable,
  NoWorker: EXIT.unreachable,
  BuildNotServed: EXIT.badInput,
  MoveRefused: EXIT.refused,
  TemporalNotFound: EXIT.unreachable,
  WorkerEnded: EXIT.failure,
  DemoInterrupted: EXIT.failure,
  CannotTrain: EXIT.badInput,
  TemporalPortTaken: EXIT.unreachable,
  TemporalServerFailed: EXIT.unreachable,
};

/** What a user reads of a failure, and the exit code that goes with it; never a stack. */
export function failureOf(error: unknown): { readonly message: string; readonly exitCode: ExitCode } {
  if (error instanceof CliError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof BadInput) return { message: error.message, exitCode: EXIT.badInput };
  if (error instanceof EffectProblem) {
    return { message: error.message, exitCode: error.retryable ? EXIT.unreachable : EXIT.negative };
  }
  if (!(error instanceof Error)) return { message: `unexpected: ${String(error)}`, exitCode: EXIT.failure };
  const exitCode = EXIT_BY_NAME[error.name];
  if (exitCode !== undefined) return { message: error.message, exitCode };
  const { code, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && path !== undefined && isFileProblem(error)) {
    return { message: `cannot use ${path}: ${fileProblem(error)}`, exitCode: EXIT.badInput };
  }
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return { message: `unexpected: ${error.message}${cause}`, exitCode: EXIT.failure };
}
