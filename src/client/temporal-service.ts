import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  Connection,
  isGrpcServiceError,
  NamespaceNotFoundError,
  type WorkflowClient,
  type WorkflowHandle,
} from '@temporalio/client';
import {
  defaultPayloadConverter,
  defineSearchAttributeKey,
  type SearchAttributePair,
  SearchAttributeType,
  ValueError,
} from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils';
import { tsToMs } from '@temporalio/common/lib/time';
import { SEARCH_ATTRIBUTES } from '../contract';
import type { Checkpoint } from '../core/migration/checkpoint';
import { decodeEvents } from '../payload-codec/decoded-history';
import { loadCodec, type UsersConverter } from '../payload-codec/load-codec';
import { configuredAddress } from '../temporal-server/configured-address';
import { EncodedPayloads, TemporalUnreachable } from './errors';
import { handedCheckpoints, type RunEvent } from './migration-record';
import { silenceOf } from './temporal-silence';

/** Where Temporal is; what is not given comes from TEMPORAL_* variables or a profile. */
export interface ConnectOptions {
  /** `host:port`. Default: TEMPORAL_ADDRESS, the profile's address, then 127.0.0.1:7233. */
  readonly address?: string;
  /** Default: TEMPORAL_NAMESPACE, the profile's namespace, then `default`. */
  readonly namespace?: string;
  /** To open the connection, milliseconds. Default: 5,000. */
  readonly connectTimeoutMs?: number;
  /** Path of a module that exports `payloadCodecs`. Default: CUTOVER_DATA_CONVERTER, then none. */
  readonly dataConverter?: string;
}

/** Workers that ask for work on a task queue. Temporal lists one for five minutes after its last poll. */
export interface Pollers {
  /** Those whose last poll is no older than a poll can be. */
  readonly alive: number;
  /** Those that have not polled for longer: stopped, or cut off. */
  readonly silent: number;
  /** The age of the newest poll, milliseconds; null without any. */
  readonly lastPollMs: number | null;
}

/** A poll waits for a minute at most, and is sent again at once: milliseconds. */
export const POLL_OLDEST_MS = 65_000;

/** Who polls, by the times of their last polls in milliseconds since 1970. */
export function pollersOf(lastPolls: readonly number[], nowMs: number): Pollers {
  // Temporal's clock may be ahead of this machine's.
  const ages = lastPolls.map((atMs) => Math.max(0, nowMs - atMs));
  const alive = ages.filter((ageMs) => ageMs <= POLL_OLDEST_MS).length;
  return { alive, silent: ages.length - alive, lastPollMs: ages.length === 0 ? null : Math.min(...ages) };
}

/** Thrown inside the client when Temporal answers but the worker that a call needs does not. */
export class WorkerSilent extends Error {
  override readonly name = 'WorkerSilent';
}

const CALL_TIMEOUT_MS = 10_000;
/** A long history comes in many pages. */
const HISTORY_TIMEOUT_MS = 60_000;
const ALIVE_TIMEOUT_MS = 3_000;
const RETRY_MS = 250;
/** Temporal knows of a worker's polls this long after its start at the latest. */
export const STARTS_WITHIN_MS = 5_000;
const ATTEMPT_MS = 4_000;

/**
 * A page of a history holds events by their number, and one signal may be of 2 MB: above gRPC's default of 4 MB, and above
 * what Temporal lets a history grow to (50 MB). The SDK means to set this, under a name that gRPC does not know.
 */
const MESSAGE_MOST_BYTES = 128 * 1024 * 1024;

/** gRPC status codes. */
const CANCELLED = 1;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** No answer in time: the server, which knows the deadline too, may be the first to give up (`CANCELLED`). */
const NO_ANSWER: readonly (number | null)[] = [CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE];

/** temporal.api.enums.v1.IndexedValueType */
const INDEXED_VALUE_TYPE = { Keyword: 2, Double: 4, Bool: 5 } as const;

/** A connection whose every call ends in bounded time, with errors that name the address. */
export class TemporalService {
  readonly workflows: WorkflowClient;
  readonly #open = new Map<AbortController, Promise<unknown>>();
  #isClosing = false;

  private constructor(
    readonly address: string,
    readonly namespace: string,
    private readonly connection: Connection,
    private readonly codec: UsersConverter | null,
  ) {
    const dataConverter = codec === null ? {} : { dataConverter: codec };
    this.workflows = new Client({ connection, namespace, ...dataConverter }).workflow;
  }

  /**
   * Connects; throws `TemporalUnreachable`, `InvalidTemporalConfiguration` for a profile that cannot be used, or
   * `BadInput` for such a data converter.
   */
  static async connect(
    options: ConnectOptions,
    env: Readonly<Record<string, string | undefined>>,
  ): Promise<TemporalService> {
    const { address, namespace, connectTimeoutMs = 5_000 } = options;
    const codec = await loadCodec(options.dataConverter);
    const found = configuredAddress({
      ...env,
      ...(address === undefined ? {} : { TEMPORAL_ADDRESS: address }),
      ...(namespace === undefined ? {} : { TEMPORAL_NAMESPACE: namespace }),
    });
    const target = found?.address ?? '127.0.0.1:7233';
    const { tls, apiKey, metadata } = found?.connectionOptions ?? {};
    try {
      const connection = await Connection.connect({
        address: target,
        connectTimeout: connectTimeoutMs,
        channelArgs: { 'grpc.max_receive_message_length': MESSAGE_MOST_BYTES },
        ...(tls === undefined ? {} : { tls }),
        ...(apiKey === undefined ? {} : { apiKey }),
        ...(metadata === undefined ? {} : { metadata }),
      });
      return new TemporalService(target, found?.namespace ?? namespace ?? 'default', connection, codec);
    } catch (cause) {
      const refusal = refusalOf(cause);
      if (refusal !== null) throw new TemporalUnreachable(target, refusal, { cause });
      throw TemporalUnreachable.silent(target, await silenceOf(target, tls != null && tls !== false), cause);
    }
  }

  /** Calls that the SDK's client has no method for; wrap them in `ask`. */
  get rpc(): Connection['workflowService'] {
    return this.connection.workflowService;
  }

  /** What Temporal records of who asked, for calls of `rpc`. */
  get identity(): string {
    return this.workflows.options.identity;
  }

  /** A call that Temporal itself answers; throws `TemporalUnreachable` when it does not. */
  async ask<T>(work: () => Promise<T>, timeoutMs = CALL_TIMEOUT_MS): Promise<T> {
    try {
      return await this.#call(Date.now() + timeoutMs, work);
    } catch (error) {
      throw this.explained(error, timeoutMs);
    }
  }

  /** A call that needs a worker too; throws `WorkerSilent` when Temporal is there and no worker answers in time. */
  async askWorker<T>(work: () => Promise<T>, timeoutMs: number): Promise<T> {
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      try {
        // One lost task must not take the whole time: queries may be asked again, updates bear an id.
        return await this.#call(Math.min(deadlineMs, Date.now() + ATTEMPT_MS), work);
      } catch (error) {
        const code = codeOf(error);
        // "No poller seen recently" is a failed precondition.
        const silent = NO_ANSWER.includes(code) || code === FAILED_PRECONDITION;
        if (!silent || this.#isClosing) throw this.explained(error, timeoutMs);
        if (Date.now() + RETRY_MS < deadlineMs) {
          await sleep(RETRY_MS);
          continue;
        }
        const { namespace } = this;
        await this.ask(
          () => this.connection.workflowService.describeNamespace({ namespace }),
          ALIVE_TIMEOUT_MS,
        );
        throw new WorkerSilent(`no worker answered within ${timeoutMs} ms`, { cause: error });
      }
    }
  }

  /** Whether the namespace knows our search attributes, after an attempt to register those that are missing. */
  async learnSearchAttributes(): Promise<boolean> {
    const { namespace } = this;
    const { operatorService } = this.connection;
    try {
      for (let attempt = 1; attempt <= 8; attempt++) {
        const { customAttributes } = await this.ask(() =>
          operatorService.listSearchAttributes({ namespace }),
        );
        const unknown = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => !(name in customAttributes));
        if (unknown.length === 0) {
          return Object.entries(SEARCH_ATTRIBUTES).every(
            ([name, kind]) => customAttributes[name] === INDEXED_VALUE_TYPE[kind],
          );
        }
        if (attempt === 1) {
          const searchAttributes = Object.fromEntries(
            unknown.map(([name, kind]) => [name, INDEXED_VALUE_TYPE[kind]]),
          );
          await this.ask(() => operatorService.addSearchAttributes({ namespace, searchAttributes }));
        }
        await sleep(RETRY_MS);
      }
    } catch {
      // Temporal Cloud has no operator service, and registering needs rights: a migration runs without as well.
    }
    return false;
  }

  /** Whether workers ask for work on all of these task queues; one that was started a moment ago is not known yet. */
  async arePolled(taskQueues: readonly string[]): Promise<boolean> {
    for (const deadlineMs = performance.now() + STARTS_WITHIN_MS; ; await sleep(RETRY_MS)) {
      const pollers = await Promise.all(taskQueues.map((taskQueue) => this.pollers(taskQueue)));
      if (pollers.every(({ alive }) => alive > 0)) return true;
      if (performance.now() > deadlineMs) return false;
    }
  }

  /** Who asks for work on a task queue: for workflows, or for activities where there are more. */
  async pollers(taskQueue: string): Promise<Pollers> {
    const { namespace } = this;
    const counts = await Promise.all(
      [1, 2].map(async (taskQueueType) => {
        const { pollers } = await this.ask(() =>
          this.connection.workflowService.describeTaskQueue({
            namespace,
            taskQueue: { name: taskQueue },
            taskQueueType,
          }),
        );
        return pollersOf(
          pollers.map(({ lastAccessTime }) => tsToMs(lastAccessTime)),
          Date.now(),
        );
      }),
    );
    return counts.reduce((most, counted) => (counted.alive > most.alive ? counted : most));
  }

  /**
   * The histories of a run and of those that it continues, oldest first; `whole` is false where Temporal no longer
   * keeps the first ones.
   */
  async histories(
    workflowId: string,
    runId: string,
  ): Promise<{ readonly runs: readonly (readonly RunEvent[])[]; readonly whole: boolean }> {
    const runs: (readonly RunEvent[])[] = [];
    for (let next: string | null = runId; next !== null; ) {
      const handle = this.workflows.getHandle(workflowId, next);
      let events: readonly RunEvent[];
      try {
        events = (await this.history(handle, HISTORY_TIMEOUT_MS)).events ?? [];
      } catch (error) {
        if (runs.length > 0 && isNotFound(error)) return { runs, whole: false };
        throw error;
      }
      runs.unshift(events);
      next = events[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || null;
    }
    return { runs, whole: true };
  }

  /** The history of one run, decoded. */
  async history(handle: WorkflowHandle, timeoutMs: number): Promise<History> {
    const history = await this.ask(() => handle.fetchHistory(), timeoutMs);
    await this.decode(history.events ?? []);
    return history;
  }

  /** The run that continued as the given one, or null for the first of its chain. */
  async previousRun(workflowId: string, runId: string): Promise<string | null> {
    const first = (await this.firstEvent(workflowId, runId))?.workflowExecutionStartedEventAttributes;
    return first?.continuedExecutionRunId || null;
  }

  /**
   * The last checkpoints up to the number `until` and after `after` that a run and those before it were handed, oldest
   * first. They begin later where Temporal no longer keeps the first runs.
   */
  async archivedCheckpoints(
    workflowId: string,
    { runId, after, until }: { readonly runId: string; readonly after: number; readonly until: number },
  ): Promise<readonly Checkpoint[]> {
    let found: readonly Checkpoint[] = [];
    let first = until + 1;
    for (let next: string | null = runId; next !== null && first > after + 1; ) {
      const event: RunEvent | null = await this.firstEvent(workflowId, next);
      if (event === null) break;
      const handed = handedCheckpoints(event).filter(({ seq }) => seq > after && seq < first);
      found = [...handed, ...found];
      first = handed[0]?.seq ?? first;
      next = event.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || null;
    }
    return found;
  }

  /** How a run began; null where Temporal no longer keeps it. */
  private async firstEvent(workflowId: string, runId: string): Promise<RunEvent | null> {
    try {
      const { history } = await this.ask(() =>
        this.connection.workflowService.getWorkflowExecutionHistory({
          namespace: this.namespace,
          execution: { workflowId, runId },
          maximumPageSize: 1,
        }),
      );
      const event = history?.events?.[0] ?? null;
      await this.decode([event]);
      return event;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  /**
   * Ends the calls that are under way, then the connection: one that the SDK tries again over a closed connection throws
   * where nobody catches it.
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const ending of this.#open.keys()) ending.abort();
    await Promise.all(this.#open.values());
    await this.connection.close();
  }

  async #call<T>(deadlineMs: number, work: () => Promise<T>): Promise<T> {
    // One for each call: the SDK never takes its listener off a signal.
    const ending = new AbortController();
    const { connection } = this;
    const call = connection.withAbortSignal(ending.signal, () => connection.withDeadline(deadlineMs, work));
    const ended = call.then(
      () => undefined,
      () => undefined,
    );
    this.#open.set(ending, ended);
    try {
      return await call;
    } finally {
      this.#open.delete(ending);
    }
  }

  /** Throws `EncodedPayloads` for a run whose input this client cannot read; one message alone may have any encoding. */
  private async decode(events: readonly (RunEvent | null)[]): Promise<void> {
    await decodeEvents(events, this.codec?.payloadCodecs ?? []);
    const [input] = events[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    if (input == null) return;
    try {
      defaultPayloadConverter.fromPayload(input);
    } catch (error) {
      throw this.explained(error, 0);
    }
  }

  private explained(error: unknown, timeoutMs: number): unknown {
    const cause = error;
    const encoding = unknownEncoding(error);
    if (encoding !== null) return new EncodedPayloads(encoding, this.codec !== null, { cause });
    const refusal = refusalOf(error);
    if (refusal !== null) return new TemporalUnreachable(this.address, refusal, { cause });
    if (NO_ANSWER.includes(codeOf(error))) {
      const reason = `no answer within ${timeoutMs / 1_000} s: see whether it runs, and whether this machine reaches it`;
      return new TemporalUnreachable(this.address, reason, { cause });
    }
    return error;
  }
}

/** The search attributes of a migration that has just been started. */
export function firstSearchAttributes(route: string, stage: string): SearchAttributePair[] {
  const { KEYWORD, DOUBLE, BOOL } = SearchAttributeType;
  return [
    { key: defineSearchAttributeKey('CutoverRoute' satisfies AttributeName, KEYWORD), value: route },
    { key: defineSearchAttributeKey('CutoverStage' satisfies AttributeName, KEYWORD), value: stage },
    { key: defineSearchAttributeKey('CutoverShare' satisfies AttributeName, DOUBLE), value: 0 },
    { key: defineSearchAttributeKey('CutoverPaused' satisfies AttributeName, BOOL), value: false },
  ];
}

type AttributeName = keyof typeof SEARCH_ATTRIBUTES;

/** Whether Temporal refused something because of a state that may change. */
export function isUnmet(error: unknown): boolean {
  return codeOf(error) === FAILED_PRECONDITION;
}

/** Whether Temporal does not keep what was asked for; the SDK gives a name to that for some calls only. */
export function isNotFound(error: unknown): boolean {
  return (error instanceof Error && error.name === 'WorkflowNotFoundError') || codeOf(error) === NOT_FOUND;
}

/** The encoding of a payload that the SDK could not read; null for other errors. */
function unknownEncoding(error: unknown): string | null {
  return error instanceof ValueError ? (/^Unknown encoding: (.*)/.exec(error.message)?.[1] ?? null) : null;
}

/** Whether Temporal found fault with a request itself. */
export function isInvalidArgument(error: unknown): boolean {
  return codeOf(error) === INVALID_ARGUMENT;
}

/** Why Temporal does not serve this client at all, or null. */
function refusalOf(error: unknown): string | null {
  if (error instanceof NamespaceNotFoundError) {
    return `there is no namespace "${error.namespace}": create it, or name another by TEMPORAL_NAMESPACE or --namespace`;
  }
  const code = codeOf(error);
  if (code === UNAUTHENTICATED || code === PERMISSION_DENIED) {
    return 'it refuses these credentials: look at TEMPORAL_API_KEY, the TEMPORAL_TLS_* variables and the namespace';
  }
  return null;
}

function codeOf(error: unknown): number | null {
  if (isGrpcServiceError(error)) return error.code;
  const cause = error instanceof Error ? error.cause : undefined;
  return isGrpcServiceError(cause) ? cause.code : null;
}
