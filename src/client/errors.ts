import type { WorkerBuild } from '../contract';
import type { Outcome } from '../core/migration/migration-state';
import type { Silence } from './temporal-silence';
import { buildText, type QueueBuilds } from './worker-build';

/** Thrown when Temporal does not answer, or refuses to serve this client at all. */
export class TemporalUnreachable extends Error {
  override readonly name = 'TemporalUnreachable';
  constructor(
    readonly address: string,
    reason: string,
    options?: ErrorOptions,
    /** What a bare connection showed, where none could be used. */
    readonly problem?: string,
  ) {
    super(`cannot use Temporal at ${address}: ${reason}`, options);
  }

  static silent(address: string, { problem, fix }: Silence, cause: unknown): TemporalUnreachable {
    return new TemporalUnreachable(address, `${problem}: ${fix}`, { cause }, problem);
  }
}

/** Thrown when what Temporal keeps went through a codec that this client does not have, or has without its key. */
export class EncodedPayloads extends Error {
  override readonly name = 'EncodedPayloads';
  constructor(encoding: string, hasConverter: boolean, options?: ErrorOptions) {
    super(
      `what Temporal keeps is encoded (${encoding}): ${
        hasConverter
          ? 'the data converter of this program does not decode it, and needs the keys by which the migration was started'
          : 'name the module that decodes it by --data-converter or CUTOVER_DATA_CONVERTER'
      }`,
      options,
    );
  }
}

/** Thrown when Temporal knows no migration of the route, or none of the id that was asked for. */
export class NoMigration extends Error {
  override readonly name = 'NoMigration';
  constructor(
    readonly route: string,
    readonly wanted?: string,
  ) {
    super(
      wanted === undefined
        ? `expected a migration of the route "${route}", but Temporal knows none: start one with \`cutover start ${route}\`, or look at the namespace and address`
        : `expected the migration or run "${wanted}" of the route "${route}", but Temporal keeps none of this id: \`cutover history ${route}\` lists them`,
    );
  }
}

/** Thrown by a second start on one route; `first` is the migration id of the one that runs. */
export class MigrationAlreadyRuns extends Error {
  override readonly name = 'MigrationAlreadyRuns';
  constructor(
    readonly route: string,
    readonly first: string,
  ) {
    super(
      `expected no open migration of the route "${route}", but ${first} is running: roll it back or let it finish before you start another`,
    );
  }
}

/** Thrown where Temporal ended a run and no worker answers for what the migration knew. */
export class MigrationEnded extends Error {
  override readonly name = 'MigrationEnded';
  constructor(
    readonly route: string,
    readonly migrationId: string,
    readonly ended: string,
  ) {
    super(
      `${migrationId} is over: its run was ${ended}, and no worker answers to say where it stood. \`cutover status ${route}\` shows what the gateways serve; \`cutover kill ${route}\` takes the candidate off`,
    );
  }
}

/** Thrown for a payload that no migration would take; nothing was sent. */
export class InvalidCommand extends Error {
  override readonly name = 'InvalidCommand';
  constructor(
    readonly command: string,
    problem: string,
  ) {
    super(`${command}: ${problem}`);
  }
}

/** Thrown when the migration refused a command; it changed nothing. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused';
  constructor(
    readonly command: string,
    reason: string,
  ) {
    super(`${command} was refused: ${reason}`);
  }
}

/** Thrown when a command arrives after the end; `outcome` is null where Temporal ended the run. */
export class MigrationClosed extends CommandRefused {
  constructor(
    command: string,
    readonly migrationId: string,
    readonly outcome: Outcome | null,
    how: string,
  ) {
    super(command, `${migrationId} is over: ${how}`);
  }
}

/** Thrown when Temporal answers but no worker does; what was sent before stays recorded in Temporal. */
export class NoWorker extends Error {
  override readonly name = 'NoWorker';
  constructor(
    readonly route: string,
    readonly waitedMs: number,
    /** The build that the migration is pinned to, where no worker of it polls. */
    readonly build: WorkerBuild | null = null,
  ) {
    super(
      `expected a worker to answer for the migration of "${route}" within ${waitedMs / 1_000} s, but none did: ${build === null ? 'start one with `cutover worker`' : unservedText(build)}`,
    );
  }
}

/** What to do about a run on a build that no worker polls for. */
export function unservedText(build: WorkerBuild): string {
  const { deployment, buildId } = build;
  return `it is pinned to ${buildText(build)}, for which no worker polls. Start one again (\`cutover worker --deployment ${deployment} --build-id ${buildId}\`), or move it to another build with \`cutover migrate-workers\``;
}

/** Thrown for a build that no worker polls for, or not on every queue that open runs need; nothing was changed. */
export class BuildNotServed extends Error {
  override readonly name = 'BuildNotServed';
  constructor(
    readonly target: WorkerBuild,
    missing: readonly string[],
    queues: readonly QueueBuilds[],
  ) {
    const { deployment, buildId } = target;
    const polling = new Set(queues.flatMap((queue) => queue.polling).map(buildText));
    super(
      missing.length > 0
        ? `expected workers of ${buildText(target)} to poll ${missing.join(', ')} as well, and none does. Nothing was changed`
        : `expected a build that workers poll for, got "${buildId}" of "${deployment}": ${polling.size === 0 ? 'no worker polls at all' : `those that poll are ${[...polling].join(', ')}`}. Start one by \`cutover worker --deployment ${deployment} --build-id ${buildId}\`, or name another. Nothing was changed`,
    );
  }
}

/** Thrown where Temporal or a run's history stands against a move to another build. */
export class MoveRefused extends Error {
  override readonly name = 'MoveRefused';
}
