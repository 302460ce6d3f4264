import { readMigration } from '../../src/history/recorded-migration';
import {
  type HistoryJson,
  historyNames,
  historyOf,
  withPayloads,
} from '../support/migrations/recorded-history';

/** Those that hold all of a migration that has ended. */
const CLOSED = historyNames().filter((name) => {
  const { fromTheStart, endedAtMs } = readMigration(historyOf(name));
  return fromTheStart && endedAtMs !== null;
});

const isOfEffects = (what: string) => what.startsWith('effect ') || what === 'notified';

describe('a migration read from its history', () => {
  it('has its plan, its end, its windows with their evidence, and what the gateways confirmed', () => {
    const migration = readMigration(historyOf('completed'));
    expect(migration).toMatchObject({ route: 'completed', outcome: 'completed', by: 'ana', runs: 1 });
    expect(migration.plan.stages.map(({ name }) => name)).toEqual([
      'assess',
      'canary',
      'rolling',
      'complete',
    ]);
    expect(migration.windows.map(({ number }) => number)).toEqual(migration.windows.map((_, at) => at + 1));
    expect(migration.windows.at(-1)).toMatchObject({ share: 1, result: { verdict: { outcome: 'pass' } } });
    expect(migration.changes.map(({ share }) => share)).toEqual([0, 0.3, 0.5, 1]);
    expect(migration.changes.every(({ confirmed }) => confirmed.includes('gw-1'))).toBe(true);
    expect(migration.endedAtMs).toBeGreaterThan(migration.startedAtMs);
  });

  it('tells who sent what, signals and updates alike, and also what no command can be', () => {
    const { messages } = readMigration(historyOf('operator'));
    expect(messages).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ via: 'update', name: 'pause', by: 'ana', reason: 'recorded' }),
        expect.objectContaining({ via: 'signal', name: 'pause', by: 'unknown' }),
        expect.objectContaining({ via: 'signal', name: 'emergencyRollback', by: 'ana' }),
      ]),
    );
  });

  it.each(CLOSED)('leads the state machine to the checkpoints that were recorded: %s', (name) => {
    const { checkpoints, outcome } = readMigration(historyOf(name));
    expect(checkpoints).toMatchObject({ source: 'its history, retraced', problem: null });
    // Effects go on after the end.
    const end = checkpoints.list.findLast((entry) => entry.kind === 'recorded' && !isOfEffects(entry.what));
    expect(end).toMatchObject({ what: outcome });
    expect(checkpoints.list.map(({ seq }) => seq)).toEqual(checkpoints.list.map((_, at) => at + 1));
  });

  it('says where retracing contradicts what was recorded, and keeps what came before', () => {
    const history = withPayloads(historyOf('harm'), (text) =>
      text.replace('"ended":"harm"', '"ended":"asked"'),
    );
    const other = withPayloads(history, (text) => text.replaceAll('"harm":"floor"', '"harm":null'));
    const { checkpoints } = readMigration(other);
    expect(checkpoints.problem).toMatch(/^event \d+: /);
    expect(checkpoints.list.length).toBeGreaterThan(3);
  });

  it('takes the checkpoints that a worker told before retraced ones', () => {
    const { list } = readMigration(historyOf('harm')).checkpoints;
    const { events } = historyOf('harm');
    const document = { runs: [{ runId: 'r', events }], checkpoints: list.slice(0, 2) };
    expect(readMigration(document).checkpoints).toEqual({
      list: list.slice(0, 2),
      source: 'the migration',
      problem: null,
      archived: null,
    });
  });

  it('drops what ended in the task whose message pre-empted it, as its workflow did, which asked again', () => {
    const { events } = historyOf('revision-3-forgotten');
    const [dropped, asked] = events.filter(
      ({ eventType, activityTaskScheduledEventAttributes: scheduled }) =>
        eventType === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED' &&
        (scheduled as { activityType: { name: string } }).activityType.name === 'verifyRouting',
    );
    const { checkpoints } = readMigration({ events });
    const closed = checkpoints.list.find((entry) => entry.kind === 'took effect' && entry.epoch === 3);
    expect(dropped).toBeDefined();
    expect(closed?.atMs).toBeGreaterThan(Date.parse(String(asked?.['eventTime'])));
  });

  it('lets a cancellation act before a window that ended in its task, and counts that window', () => {
    const events = historyOf('revision-5-preempted').events.map((event) =>
      event.eventType === 'EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED'
        ? { ...event, eventType: 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED' }
        : event,
    );
    // In the order in which a window may have ended first.
    const at = (type: string) => events.findIndex(({ eventType }) => eventType === type);
    const [cancelled] = events.splice(at('EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED'), 1);
    if (cancelled === undefined) throw new Error('expected a message in the history');
    const started = events.findLastIndex(
      ({ eventType, workflowTaskStartedEventAttributes: task }) =>
        eventType === 'EVENT_TYPE_WORKFLOW_TASK_STARTED' &&
        (task as { scheduledEventId: string }).scheduledEventId === '58',
    );
    events.splice(started, 0, cancelled);
    const sealed = readMigration({ events }).checkpoints.list.slice(-3);
    expect(sealed.map((entry) => [entry.seal?.cancels, entry.seal?.windows])).toEqual([
      [1, 1],
      [1, 2],
      [1, 2],
    ]);
  });

  it('is open where its history has no end', () => {
    const history = historyOf('completed');
    const { outcome, endedAtMs, checkpoints } = readMigration({ events: history.events.slice(0, 60) });
    expect({ outcome, endedAtMs, problem: checkpoints.problem }).toEqual({
      outcome: 'running',
      endedAtMs: null,
      problem: null,
    });
  });
});

describe('what is no history', () => {
  const events = (change: (events: HistoryJson['events']) => unknown) => () =>
    readMigration({ events: change(historyOf('harm').events) });

  it.each([
    ['nothing', () => readMigration(null), 'expected a Temporal history as JSON'],
    ['no events', events(() => []), 'got none of events'],
    ['a text', () => readMigration('{}'), 'got no list of events'],
    ['events of something else', events((all) => all.slice(5)), 'its first event carries no plan'],
    ['an event without a time', events(() => [{ eventType: 'X' }]), 'event 1 with eventType and eventTime'],
    ['an event that is a number', events(() => [1]), 'expected event 1 to be an object'],
    [
      'payloads of another encoding',
      events((all) =>
        JSON.parse(JSON.stringify(all).replaceAll('anNvbi9wbGFpbg==', 'YmluYXJ5L2VuY3J5cHRlZA==')),
      ),
      'got "binary/encrypted": fetch the history with its codec',
    ],
  ])('is refused with one sentence: %s', (_name, read, sentence) => {
    expect(read).toThrow(sentence);
  });
});

it('says the plan as it was amended, over the end of a run as well', () => {
  const stagesOf = (name: string) => readMigration(historyOf(name)).plan.stages.map((stage) => stage.name);
  const longer = ['assess', 'canary', 'quarter', 'rolling', 'complete'];
  for (const name of ['revision-5-amended', 'revision-5-extended', 'revision-5-extended-2']) {
    expect(stagesOf(name)).toEqual(longer);
  }
  expect(stagesOf('revision-4-completed')).not.toContain('quarter');
  const { problem, list } = readMigration(historyOf('revision-5-amended')).checkpoints;
  expect(problem).toBeNull();
  expect(list.filter((entry) => 'what' in entry && entry.what === 'amended')).toHaveLength(3);
});
