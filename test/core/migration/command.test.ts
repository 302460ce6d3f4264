import {
  askedBy,
  badCommand,
  COMMAND_NAMES,
  isBadMessage,
  readCommand,
  unknownCommand,
} from '../../../src/core/migration/command';

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
    ['rollback', { to: '4' }, 'expected `to` to be a checkpoint number or "previous", got "4"'],
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

describe('what a command says', () => {
  const problemOf = (name: Parameters<typeof readCommand>[0], payload: unknown) => {
    const read = readCommand(name, payload);
    return isBadMessage(read) ? read.problem : null;
  };

  it.each([
    ['by', 1_000],
    ['reason', 1_000],
    ['commandId', 200],
  ] as const)('is a text: %s of at most %d characters', (field, most) => {
    expect(problemOf('pause', { [field]: 'x'.repeat(most) })).toBeNull();
    expect(problemOf('pause', { [field]: 'x'.repeat(most + 1) })).toBe(
      `expected ${field} to be a text of at most ${most} characters, got a text of ${most + 1} characters`,
    );
    expect(problemOf('pause', { [field]: 5 })).toBe(
      `expected ${field} to be a text of at most ${most} characters, got 5`,
    );
  });

  it('may come without a prototype, and says what arrived in place of a text', () => {
    const bare = Object.assign(Object.create(null), { by: 'ana' });
    expect(readCommand('pause', bare)).toMatchObject({ by: 'ana' });
    expect(problemOf('pause', { by: null })).toBe(
      'expected by to be a text of at most 1000 characters, got null',
    );
  });

  it.each([
    ['resume', 'accept'],
    ['promote', 'stage, override, checkpoint'],
    ['rollback', 'to'],
    ['approve', 'checkpoint, digest'],
    ['forget', 'gateway'],
  ] as const)('of %s is who, why, an id, and %s', (name, fields) => {
    expect(problemOf(name, { nobody: 1 })).toBe(
      `expected only the fields by, reason, commandId, ${fields}, got "nobody"`,
    );
  });

  it.each(['pause', 'emergencyRollback', 'reevaluate', 'finish'] as const)('of %s is no more', (name) => {
    expect(problemOf(name, { ['y'.repeat(200)]: 1 })).toBe(
      `expected only the fields by, reason, commandId, got "${'y'.repeat(100)}"`,
    );
  });

  it('of forget is which gateway is gone, and who says so, and why', () => {
    const whole = { gateway: ' gw-a ', by: 'ana', reason: 'burnt' };
    expect(readCommand('forget', whole)).toEqual({
      ...{ name: 'forget', gateway: 'gw-a', by: 'ana', reason: 'burnt', commandId: null },
    });
    for (const gateway of [undefined, '', '  ']) {
      expect(problemOf('forget', gateway === undefined ? { by: 'ana' } : { ...whole, gateway })).toBe(
        'expected gateway to be the name of the one that is gone, got none',
      );
    }
    for (const missing of ['by', 'reason']) {
      expect(problemOf('forget', { ...whole, [missing]: '' })).toBe(
        'expected by and reason: who attests that the gateway is gone for good, and why',
      );
    }
  });

  it('of approve is which checkpoint asked, and which evidence was seen', () => {
    const base = { name: 'approve', by: 'ana', reason: '', commandId: null };
    expect(readCommand('approve', { by: 'ana', checkpoint: 3 })).toEqual({
      ...base,
      checkpoint: 3,
      digest: null,
    });
    expect(readCommand('approve', { by: 'ana', checkpoint: 3, digest: 'ab' })).toEqual({
      ...base,
      checkpoint: 3,
      digest: 'ab',
    });
    expect(problemOf('approve', { by: 'ana', checkpoint: 0 })).toBe(
      'expected checkpoint to be the number of the one that asks, got 0',
    );
  });

  it('of promote without an override needs no more than the stage', () => {
    expect(readCommand('promote', { stage: 'canary' })).toEqual({
      ...{ name: 'promote', stage: 'canary', override: false, checkpoint: null },
      ...{ by: 'unknown', reason: '', commandId: null },
    });
    for (const wrong of [{ by: 'ana' }, { reason: 'go' }, { checkpoint: 3 }]) {
      const all = { stage: 'canary', override: true, by: 'ana', reason: 'go', checkpoint: 3 };
      expect(problemOf('promote', all)).toBeNull();
      const without = Object.fromEntries(Object.entries(all).filter(([field]) => !(field in wrong)));
      expect(problemOf('promote', without)).toContain('it records who, why and on what');
    }
  });

  it.each([
    ['[]', [], 'an array'],
    ['"stop"', 'stop', '"stop"'],
    ['60 characters', 'x'.repeat(60), `"${'x'.repeat(60)}"`],
    ['61 characters', 'x'.repeat(61), 'a text of 61 characters'],
    ['a date', new Date(0), 'an object'],
    ['a long number', 10n ** 80n, `1${'0'.repeat(59)}`],
  ])('is one object: not %s', (_name, payload, got) => {
    expect(problemOf('pause', payload)).toBe(
      `expected one object such as {"by":"ana","reason":"p95 doubled"}, got ${got}`,
    );
  });

  it('is at most 64 KB, of which nothing is kept above that', () => {
    const sized = (bytes: number) => ({ bye: 'x'.repeat(bytes - '{"bye":""}'.length) });
    const [fits, large] = [sized(64_000), sized(64_001)].map((payload) => readCommand('pause', payload));
    expect(fits).toMatchObject({ problem: expect.stringContaining('got "bye"') });
    expect(fits).toMatchObject({ arrived: `{"bye":"${'x'.repeat(1_024 - 8)}` });
    expect(large).toEqual({ name: 'pause', problem: 'expected at most 64 KB, got 64 KB', arrived: '' });
  });

  it.each([
    ['a number that JSON does not know', 10n, '10 that is not JSON'],
    ['an object in itself', cyclic, 'an object that is not JSON'],
    ['nothing that JSON could show', Symbol('x'), 'Symbol(x)'],
  ])('is kept as it can be shown: %s', (_name, payload, arrived) => {
    expect(readCommand('pause', payload)).toMatchObject({ arrived });
  });
});

describe('a command that is none', () => {
  it('keeps the beginning of its name', () => {
    expect(unknownCommand('z'.repeat(200), { by: 'ana' })).toEqual({
      name: 'z'.repeat(100),
      problem: 'there is no command of this name',
      arrived: '{"by":"ana"}',
    });
  });

  it('is kept with all that it said where it cannot stand', () => {
    const command = readCommand('rollback', { to: 4, by: 'ana', reason: 'p95', commandId: 'x' });
    if (isBadMessage(command)) throw new Error(command.problem);
    expect(askedBy(command)).toBe('{"name":"rollback","to":4}');
    expect(badCommand(command, 'used already')).toEqual({
      name: 'rollback',
      problem: 'used already',
      arrived: JSON.stringify(command),
    });
  });
});
