import { defaultPayloadConverter } from '@temporalio/common';
import { type RunEvent, recordOfHistories } from '../../src/client/migration-record';

const payloads = (value: unknown) => ({ payloads: [defaultPayloadConverter.toPayload(value)] });
const at = (seconds: number) => ({ eventTime: { seconds, nanos: 5_000_000 } });

function signal(signalName: string, input: RunEvent['workflowExecutionSignaledEventAttributes']): RunEvent {
  return {
    ...at(7),
    workflowExecutionSignaledEventAttributes: { signalName, identity: 'temporal-ui', ...input },
  };
}

const commandsOf = (events: readonly RunEvent[], seen = new Map()) =>
  recordOfHistories([events], seen).flatMap((entry) => ('command' in entry ? [entry.command] : []));

describe('the record of a migration', () => {
  it('keeps what was typed into the Temporal UI, and why it changed nothing', () => {
    const unreadable = { metadata: { encoding: new Uint8Array([1]) }, data: new Uint8Array([2]) };
    const commands = commandsOf([
      signal('pause', { input: payloads('please') }),
      signal('rolback', { input: payloads({ by: 'ana' }) }),
      signal('pause', { input: { payloads: [unreadable] } }),
      signal('pause', {}),
    ]);
    expect(commands).toMatchObject([
      { atMs: 7_005, payload: 'please', accepted: false, message: expect.stringContaining('got "please"') },
      { name: 'rolback', accepted: false, message: 'there is no command of this name' },
      { name: 'pause', payload: 'unreadable' },
      { name: 'pause', payload: null, identity: 'temporal-ui' },
    ]);
  });

  it('says of a signal what the migration remembers of its id, and nothing of one that it forgot', () => {
    const seen = new Map([['c-1', { accepted: false, message: 'it is closed', checkpoint: null }]]);
    const commands = commandsOf(
      ['c-1', 'c-2'].map((commandId) => signal('rollback', { input: payloads({ by: 'ana', commandId }) })),
      seen,
    );
    expect(commands).toMatchObject([
      { accepted: false, message: 'it is closed' },
      { accepted: null, message: '' },
    ]);
  });

  it('takes a cancellation for the rollback that it is', () => {
    const cancel = { ...at(9), workflowExecutionCancelRequestedEventAttributes: { identity: '1@host' } };
    expect(commandsOf([cancel])).toMatchObject([
      { name: 'cancel', via: 'cancel', identity: '1@host', accepted: true },
    ]);
  });

  it('keeps the beginning of what is too long to be a command', () => {
    const [command] = commandsOf([signal('pause', { input: payloads({ by: 'x'.repeat(100_000) }) })]);
    expect(JSON.stringify(command).length).toBeLessThan(33_000);
    expect(command?.payload).toEqual({ cut: expect.stringMatching(/^\{"by":"xxx/) });
  });

  it('knows a start once, however many runs there were', () => {
    const started = (seconds: number): RunEvent => ({
      ...at(seconds),
      workflowExecutionStartedEventAttributes: {
        input: payloads({ start: { migrationId: 'm-1' }, carried: null, searchAttributes: true }),
        identity: '1@host',
      },
    });
    const entries = recordOfHistories([[started(1)], [started(2)]], new Map());
    expect(entries).toEqual([{ start: { atMs: 1_005, identity: '1@host', start: { migrationId: 'm-1' } } }]);
  });

  it('keeps what the runs before had taken in, and marks a window that came after it was pre-empted', () => {
    const carried = { sealed: { start: 'abc' } };
    const started: RunEvent = {
      ...at(1),
      workflowExecutionStartedEventAttributes: { input: payloads({ start: {}, carried }) },
    };
    const window = { verdict: { outcome: 'pass' }, epoch: 1, ended: 'window over', observedMs: 1, more: 2 };
    const watch = (id: number, events: readonly RunEvent[]): RunEvent[] => [
      { eventId: id, activityTaskScheduledEventAttributes: { activityType: { name: 'watchStage' } } },
      ...events,
      {
        ...at(2),
        activityTaskCompletedEventAttributes: { scheduledEventId: id, result: payloads(window) },
      },
    ];
    const cancel = { activityTaskCancelRequestedEventAttributes: { scheduledEventId: 3 } };
    const [start, first, late] = recordOfHistories(
      [[started, ...watch(2, []), ...watch(3, [cancel])]],
      new Map(),
    );
    expect(start).toMatchObject({ start: { carried: carried.sealed } });
    expect(first).not.toMatchObject({ verdict: { late: true } });
    expect(late).toMatchObject({ verdict: { late: true } });
  });
});
