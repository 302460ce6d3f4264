import type { RecordEntry } from '../../../src/core/record/record-entry';
import {
  keptPayload,
  messageFact,
  sealedStart,
  sealOf,
  withEntry,
} from '../../../src/core/record/record-seal';
import { checkSeals, type NumberedEntry } from '../../../src/core/record/seal-check';

const START = { migrationId: 'chat-1' };
const PAYLOADS: readonly [what: string, payload: unknown][] = [
  ['a short one', { by: 'ann', reason: 'lunch' }],
  ['one at the limit', 'y'.repeat(31_998)],
  ['one beyond it', { by: 'eve', reason: 'y'.repeat(100_000) }],
  ['one of quotes, each of which is escaped', '"'.repeat(40_000)],
  ['one that is cut within a character', `${'y'.repeat(31_998)}${'\u{1f600}'.repeat(10)}`],
  ['one that looks as if it had been cut', { cut: 'y'.repeat(32_000) }],
  ['none', undefined],
];

/** A record of one signal and the checkpoint that seals it, as it is read from a file. */
function recordOf(sent: unknown, recorded: unknown): NumberedEntry[] {
  const seal = sealOf(withEntry(sealedStart(START), 'signals', messageFact('pause', sent)));
  const entries = [
    { start: { start: START } },
    { command: { via: 'signal', name: 'pause', payload: keptPayload(recorded) } },
    { checkpoint: { seq: 1, seal } },
  ];
  return (JSON.parse(JSON.stringify(entries)) as RecordEntry[]).map((entry, index) => ({
    line: index + 2,
    entry,
  }));
}

it.each(PAYLOADS)('holds what a message said when it was sealed: %s', (_, payload) => {
  expect(checkSeals(recordOf(payload, payload))).toMatchObject({ checkpoint: 1, commands: 1 });
});

it('names the line of a message that says something else', () => {
  const other = { by: 'eve', reason: `n${'y'.repeat(99_999)}` };
  for (const [, payload] of PAYLOADS) {
    expect(checkSeals(recordOf(payload, other))).toMatchObject({ line: 3 });
  }
});
