import { COMMAND_NAMES, isBadMessage, readCommand } from '../../../src/core/migration/command';

const BASE = { by: 'unknown', reason: '', commandId: null };

describe('what a person types becomes a command', () => {
  it.each([undefined, null, {}])('takes %p as a command without fields', (payload) => {
    expect(readCommand('pause', payload)).toEqual({ ...BASE, name: 'pause' });
    expect(readCommand('emergencyRollback', payload)).toEqual({ ...BASE, name: 'emergencyRollback' });
    expect(readCommand('rollback', payload)).toEqual({ ...BASE, name: 'rollback', to: null });
    expect(readCommand('resume', payload)).toEqual({ ...BASE, name: 'resume', accept: null });
    expect(readCommand('reevaluate', payload)).toEqual({ ...BASE, name: 'reevaluate' });
  });

  it('reads every field and trims texts', () => {
    expect(
      readCommand('promote', {
        stage: 'canary',
        override: true,
        checkpoint: 7,
        by: ' ana ',
        reason: ' go ',
        commandId: 'c-1',
      }),
    ).toEqual({
      name: 'promote',
      stage: 'canary',
      override: true,
      checkpoint: 7,
      by: 'ana',
      reason: 'go',
      commandId: 'c-1',
    });
    expect(readCommand('rollback', { to: 'previous' })).toMatchObject({ to: 'previous' });
    expect(readCommand('rollback', { to: 4 })).toMatchObject({ to: 4 });
    expect(readCommand('resume', { accept: 'reapply' })).toMatchObject({ accept: 'reapply' });
    expect(readCommand('finish', { reason: 'done' })).toMatchObject({ name: 'finish', reason: 'done' });
  });

  it('takes an empty command id as none', () => {
    expect(readCommand('pause', { commandId: '' })).toMatchObject({ commandId: null });
  });

  it('takes an object of another realm, as a workflow gets it', () => {
    const foreign: unknown = require('node:vm').runInNewContext('({ by: "ana" })');
    expect(readCommand('pause', foreign)).toMatchObject({ by: 'ana' });
  });
});

const cyclic: Record<string, unknown> = {};
cyclic['self'] = cyclic;

const JUNK: readonly [string, unknown][] = [
  ['a text', 'rollback please'],
  ['an empty text', ''],
  ['an array', []],
  ['an array of an object', [{ by: 'ana' }]],
  ['a number', 42],
  ['not a number', Number.NaN],
  ['true', true],
  ['a bigint', 10n],
  ['a symbol', Symbol('x')],
  ['a function', () => undefined],
  ['bytes', new Uint8Array([1, 2, 3])],
  ['a date', new Date(0)],
  ['a map', new Map()],
  ['an object that cannot be shown', cyclic],
  ['an object of 1 MB', { reason: 'x'.repeat(1 << 20) }],
  [
    'an object of 100,000 fields',
    Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`f${i}`, i])),
  ],
  ['an unknown field', { bye: 'ana' }],
  ['a field of another command', { accept: 'reapply', stage: 'canary', to: 1, override: true, extra: 1 }],
  ['__proto__ as a field', JSON.parse('{"__proto__":{"by":"ana"}}')],
  ['constructor as a field', JSON.parse('{"constructor":{"prototype":{}}}')],
  ['an inherited field', Object.create({ by: 'ana' })],
  ['by as a number', { by: 1 }],
  ['by as null', { by: null }],
  ['reason as an object', { reason: {} }],
  ['a reason that is too long', { reason: 'x'.repeat(1_001) }],
  ['a command id that is too long', { commandId: 'x'.repeat(201) }],
];

describe('anything else becomes a bad message, which never throws and stays small', () => {
  it.each(JUNK)('%s', (_name, payload) => {
    for (const name of COMMAND_NAMES) {
      const read = readCommand(name, payload);
      if (!isBadMessage(read)) throw new Error(`expected a bad message, got ${JSON.stringify(read)}`);
      expect(read.name).toBe(name);
      expect(read.problem).toMatch(/^expected/);
      expect(read.problem.length).toBeLessThan(400);
      expect(read.arrived.length).toBeLessThanOrEqual(1_024);
      expect(JSON.parse(JSON.stringify(read))).toEqual(read);
    }
  });

  it.each([
    ['finish', {}, 'expected a reason, got none'],
    ['finish', { reason: '  ' }, 'expected a reason, got none'],
    ['resume', { accept: true }, 'expected accept to be "reapply", got true'],
    ['rollback', { to: '4' }, 'expected to to be a checkpoint number or "previous", got "4"'],
    ['rollback', { to: 0 }, 'got 0'],
    ['rollback', { to: -1 }, 'got -1'],
    ['rollback', { to: 1.5 }, 'got 1.5'],
    ['rollback', { to: Number.POSITIVE_INFINITY }, 'got Infinity'],
    ['promote', {}, 'expected the name of the stage to leave, got none'],
    ['promote', { stage: '' }, 'expected the name of the stage to leave, got none'],
    ['promote', { stage: 5 }, 'expected stage to be a text'],
    ['promote', { stage: 'canary', override: 'yes' }, 'expected override to be true or false, got "yes"'],
    ['promote', { stage: 'canary', checkpoint: 'x' }, 'expected checkpoint to be a checkpoint number'],
    ['promote', { stage: 'canary', override: true }, 'expected by, reason and checkpoint with an override'],
    [
      'promote',
      { stage: 'canary', override: true, by: 'ana', reason: 'go' },
      'expected by, reason and checkpoint',
    ],
    [
      'promote',
      { stage: 'canary', override: true, reason: 'go', checkpoint: 3 },
      'expected by, reason and checkpoint',
    ],
  ] as const)('%s %j', (name, payload, problem) => {
    const read = readCommand(name, payload);
    expect(isBadMessage(read) ? read.problem : read).toContain(problem);
  });

  it('shows the beginning of what arrived', () => {
    const read = readCommand('pause', { bye: 'ana' });
    expect(isBadMessage(read) ? read.arrived : '').toBe('{"bye":"ana"}');
  });

  it('takes nothing from a prototype', () => {
    const tricked = Object.assign(Object.create({ override: true }), { stage: 'canary' });
    expect(isBadMessage(readCommand('promote', tricked))).toBe(true);
  });
});
