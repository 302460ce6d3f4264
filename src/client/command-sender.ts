import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WorkflowHandle, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { workflowIdOf } from '../contract';
import type { Checkpoint } from '../core/migration/checkpoint';
import { type CommandAnswer, type CommandName, isBadMessage, readCommand } from '../core/migration/command';
import type { MigrationStatus } from '../core/migration/status';
import { type CommandOutcome, outcomeOf } from './command-outcome';
import { CommandRefused, InvalidCommand, MigrationClosed, NoWorker } from './errors';
import type { MigrationList } from './migration-list';
import type { MigrationQueries } from './migration-queries';
import { endText } from './migration-run';
import { type TemporalService, WorkerSilent } from './temporal-service';

/** A command that Temporal took. */
export interface SentCommand {
  readonly commandId: string;
  /** An update was answered by the migration; a signal is recorded, and `follow` tells what became of it. */
  readonly via: 'update' | 'signal';
  readonly answer: CommandAnswer | null;
}

export interface CommandOptions {
  /** Default: `signal` for the two rollbacks, else `update`, which falls back to a signal without a worker. */
  readonly via?: 'signal' | 'update';
  /** How long an update may wait for a worker, milliseconds. Default: 5,000. */
  readonly updateWaitMs?: number;
}

export interface FollowOptions {
  /** Called with every status that is not the end yet. */
  readonly onProgress?: (status: MigrationStatus) => void;
  /** How long no worker may answer before `NoWorker` is thrown, milliseconds. Default: 30,000. */
  readonly workerWaitMs?: number;
  readonly signal?: AbortSignal;
}

const UPDATE_WAIT_MS = 5_000;
const FOLLOW_WAIT_MS = 30_000;
const POLL_FIRST_MS = 100;
const POLL_MOST_MS = 1_000;

/** Sends commands to migrations, and follows what becomes of them. */
export class CommandSender {
  constructor(
    private readonly service: TemporalService,
    private readonly migrations: Pick<MigrationList, 'describe' | 'newestPast'>,
    private readonly queries: Pick<MigrationQueries, 'status' | 'checkpoints'>,
  ) {}

  /**
   * Sends a command. Throws `InvalidCommand` for a payload that no migration takes, `CommandRefused` when the
   * migration refuses or is closed, `NoMigration`, `TemporalUnreachable`.
   */
  async send(
    route: string,
    name: CommandName,
    payload: Readonly<Record<string, unknown>>,
    options: CommandOptions = {},
  ): Promise<SentCommand> {
    const commandId = typeof payload['commandId'] === 'string' ? payload['commandId'] : randomUUID();
    const sent = { ...payload, commandId };
    const read = readCommand(name, sent);
    if (isBadMessage(read)) throw new InvalidCommand(name, read.problem);
    const isRollback = name === 'rollback' || name === 'emergencyRollback';
    const { via = isRollback ? 'signal' : 'update', updateWaitMs = UPDATE_WAIT_MS } = options;
    const handle = this.service.workflows.getHandle(workflowIdOf(route));
    // Where this client lacks the codec, names and reasons would be kept in plain text. A rollback goes out whatever holds.
    if (!isRollback) await this.migrations.describe(route);
    try {
      if (via === 'update') {
        const answer = await this.update(handle, name, sent, updateWaitMs);
        if (answer !== null) return { commandId, via: 'update', answer };
      }
      // The same command id: should the update arrive after all, it changes nothing a second time.
      await this.service.ask(() => handle.signal(name, sent));
      return { commandId, via: 'signal', answer: null };
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      const past = await this.migrations.newestPast(route);
      throw new MigrationClosed(name, past.migrationId, past.result?.outcome ?? null, endText(past));
    }
  }

  /**
   * Waits until what a command asked for is decided and, for a change of routing, verified at the gateways; goes
   * on when the migration closes meanwhile. Throws `NoWorker` when nobody answers for too long.
   */
  async follow(route: string, commandId: string, options: FollowOptions = {}): Promise<CommandOutcome> {
    const { onProgress, workerWaitMs = FOLLOW_WAIT_MS, signal } = options;
    const unseenUntilMs = Date.now() + workerWaitMs;
    for (let pollMs = POLL_FIRST_MS; ; pollMs = Math.min(pollMs * 1.5, POLL_MOST_MS)) {
      const status = await this.queries.status(route, { workerWaitMs });
      const seen = status.commands.find((command) => command.commandId === commandId);
      const checkpoints: Checkpoint[] = [];
      if (seen?.checkpoint != null) {
        for await (const entry of this.queries.checkpoints(route, {
          after: seen.checkpoint - 1,
          workerWaitMs,
        })) {
          checkpoints.push(entry);
        }
      }
      const outcome = outcomeOf(commandId, status, checkpoints);
      if (outcome !== null) return outcome;
      // A worker that answers queries but takes no signal cannot go on: its workflow tasks fail.
      if (seen === undefined && Date.now() > unseenUntilMs) throw new NoWorker(route, workerWaitMs);
      onProgress?.(status);
      await sleep(pollMs, undefined, signal === undefined ? {} : { signal });
    }
  }

  /** The migration's answer, or null when no worker gave one in time. */
  private async update(
    handle: WorkflowHandle,
    name: CommandName,
    payload: Readonly<Record<string, unknown>> & { readonly commandId: string },
    waitMs: number,
  ): Promise<CommandAnswer | null> {
    try {
      const answer = await this.service.askWorker(
        () =>
          handle.executeUpdate<CommandAnswer, [unknown]>(name, {
            args: [payload],
            updateId: payload.commandId,
          }),
        waitMs,
      );
      if (!answer.accepted) throw new CommandRefused(name, answer.message);
      return answer;
    } catch (error) {
      if (error instanceof WorkerSilent) return null;
      if (error instanceof WorkflowUpdateFailedError) {
        throw new CommandRefused(name, error.cause?.message ?? error.message);
      }
      throw error;
    }
  }
}
