/** One event of a Temporal history, its payloads decoded. */
export interface HistoryEvent {
  readonly id: number;
  readonly atMs: number;
  /** Such as `ACTIVITY_TASK_SCHEDULED`. */
  readonly type: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** The history of one run of a workflow. */
export interface RunHistory {
  readonly runId: string | null;
  readonly events: readonly HistoryEvent[];
}

/** Thrown for a text that is no history of a migration. */
export class InvalidHistory extends Error {
  override readonly name = 'InvalidHistory';
}

/**
 * The runs of a history: Temporal's own JSON of one run (`temporal workflow show -o json`: `{"events": [...]}`), or
 * several in their order (`{"runs": [{"runId", "events"}, ...]}`). Throws `InvalidHistory`.
 */
export function readRuns(document: unknown): RunHistory[] {
  const runs = isObject(document) && Array.isArray(document['runs']) ? document['runs'] : [document];
  return runs.map((run: unknown, index) => {
    const events = isObject(run) ? run['events'] : undefined;
    if (!Array.isArray(events) || events.length === 0) {
      const got = Array.isArray(events) ? 'none' : 'no list';
      throw new InvalidHistory(
        `expected a Temporal history as JSON, {"events": [...]}, got ${got} of events${runs.length > 1 ? ` in run ${index + 1}` : ''}`,
      );
    }
    const runId = isObject(run) && typeof run['runId'] === 'string' ? run['runId'] : null;
    return { runId, events: events.map(readEvent) };
  });
}

function readEvent(event: unknown, index: number): HistoryEvent {
  if (!isObject(event)) throw new InvalidHistory(`expected event ${index + 1} to be an object`);
  const { eventId, eventTime, eventType } = event;
  const atMs = typeof eventTime === 'string' ? Date.parse(eventTime) : Number.NaN;
  if (typeof eventType !== 'string' || Number.isNaN(atMs)) {
    throw new InvalidHistory(`expected event ${index + 1} with eventType and eventTime`);
  }
  const field = Object.keys(event).find((key) => key.endsWith('EventAttributes'));
  const attributes = field === undefined ? {} : event[field];
  return {
    id: Number(eventId),
    atMs,
    type: eventType.replace(/^EVENT_TYPE_/, ''),
    attributes: isObject(attributes) ? attributes : {},
  };
}

/** The first value of a field that holds payloads; null where there is none. Throws `InvalidHistory` for other encodings. */
export function firstPayload(value: unknown): unknown {
  const payloads = isObject(value) ? value['payloads'] : value;
  const [payload] = Array.isArray(payloads) ? (payloads as unknown[]) : [];
  if (payload === undefined) return null;
  // Temporal's command prints payloads as they are where it is asked for shorthand.
  if (!isObject(payload) || !isObject(payload['metadata'])) return payload;
  const { metadata, data } = payload as { metadata: Record<string, unknown>; data?: unknown };
  const encoding = text(metadata['encoding']);
  if (encoding === 'binary/null') return null;
  if (encoding !== 'json/plain') {
    throw new InvalidHistory(
      `expected payloads of encoding json/plain, got ${JSON.stringify(encoding)}: fetch the history with its codec`,
    );
  }
  try {
    return JSON.parse(text(data));
  } catch (cause) {
    throw new InvalidHistory('expected payloads that hold JSON', { cause });
  }
}

/** The first value of a field that holds payloads, as JSON whatever encoding it claims; undefined where it is not. */
export function jsonOf(value: unknown): unknown {
  const payloads = isObject(value) ? value['payloads'] : value;
  const [payload] = Array.isArray(payloads) ? (payloads as unknown[]) : [];
  try {
    return JSON.parse(text(isObject(payload) ? payload['data'] : ''));
  } catch {
    return undefined;
  }
}

function text(base64: unknown): string {
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64').toString('utf8') : '';
}

/** Whether a value is an object or a list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** The name of the activity that an event schedules; null for other events. */
export function activityName({ type, attributes }: HistoryEvent): string | null {
  const { activityType } = attributes;
  if (type !== 'ACTIVITY_TASK_SCHEDULED' || !isObject(activityType)) return null;
  return String(activityType['name']);
}
