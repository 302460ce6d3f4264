import fc from 'fast-check';
import { readEvent } from '../../../src/gateway/answers/stream-event';
import { type ScannerOptions, StreamScanner } from '../../../src/gateway/answers/stream-scanner';
import { chunk, DONE, event, HELLO, ROLE, STOP } from '../../support/providers/fault-provider';

const USAGE = event('{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}');
const TOOL = chunk({ tool_calls: [{ index: 0, function: { name: 'f', arguments: '{"usage":1}' } }] });
const QUOTING = chunk({ content: 'the "usage": {"x":1} of "error" and "finish_reason":"stop"\n\ndata: x' });
const COMMENT = ': ping\n\n';

function scannerOf(options: Partial<ScannerOptions> = {}): StreamScanner {
  return new StreamScanner({
    endpoint: 'chat',
    removesUsage: false,
    choices: 1,
    maxHeldBytes: 33_554_432,
    kept: null,
    ...options,
  });
}

/** Pushes a text cut at the given places; returns what was passed on and the scanner. */
function scan(text: string, cuts: readonly number[], removesUsage: boolean, choices = 1) {
  const scanner = scannerOf({ removesUsage, choices });
  const bytes = Buffer.from(text);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const passed: Buffer[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    if (to > from) passed.push(scanner.push(bytes.subarray(from, to), from));
    from = to;
  }
  passed.push(scanner.end(from));
  return { scanner, passed: Buffer.concat(passed).toString() };
}

const events = fc.array(fc.constantFrom(HELLO, TOOL, QUOTING, COMMENT, chunk({ content: 'wörld ☃' })), {
  minLength: 1,
  maxLength: 8,
});
const cuts = fc.array(fc.nat(5_000), { maxLength: 40 });

it('sees the same stream however its bytes are cut, and passes on every one of them', () => {
  fc.assert(
    fc.property(events, cuts, fc.boolean(), (middle, places, carriageReturns) => {
      const text = [ROLE, HELLO, ...middle, STOP, USAGE, DONE].join('');
      const sent = carriageReturns ? text.replaceAll('\n', '\r\n') : text;
      const whole = scan(sent, [], false);
      const cut = scan(sent, places, false);
      expect(cut.passed).toBe(sent);
      expect([cut.scanner.mayEnd, cut.scanner.fault]).toEqual([true, null]);
      expect(cut.scanner.usage).toEqual({ input: 7, cached: 0, written: 0, output: 2 });
      expect(cut.scanner.gapsMs).toHaveLength(whole.scanner.gapsMs.length);
      expect([cut.scanner.errorEvent, cut.scanner.malformed]).toEqual([false, false]);
    }),
    { numRuns: 500 },
  );
});

it('takes out the usage event and nothing else, however its bytes are cut', () => {
  fc.assert(
    fc.property(events, cuts, (middle, places) => {
      const before = [ROLE, ...middle, STOP].join('');
      expect(scan(before + USAGE + DONE, places, true).passed).toBe(before + DONE);
      expect(scan(before + USAGE, places, true).passed).toBe(before);
    }),
    { numRuns: 500 },
  );
});

it.each([
  ['a role', ROLE, false],
  ['a comment', COMMENT, false],
  ['an empty piece of text', chunk({ content: '' }), false],
  ['text', HELLO, true],
  ['reasoning', chunk({ reasoning_content: 'hm' }), true],
  ['a tool call', TOOL, true],
  ['a refusal', chunk({ refusal: 'no' }), true],
  ['an end by length', chunk({}, 'length'), true],
  ['an end by stop', STOP, false],
])('takes %s for content or not', (_name, text, expected) => {
  expect(scan(text, [], false).scanner.hasContent).toBe(expected);
});

it.each([
  ['response.created', '{"response":{"id":"resp_1"}}', false],
  ['response.in_progress', '{}', false],
  ['response.output_item.added', '{"item":{"type":"message"}}', false],
  ['response.output_text.delta', '{"delta":"x"}', true],
  ['response.reasoning_summary_text.delta', '{"delta":"x"}', true],
  ['response.function_call_arguments.delta', '{"delta":"x"}', true],
  ['response.completed', '{"response":{"id":"resp_1","usage":{"input_tokens":1,"output_tokens":2}}}', true],
])('takes a %s of the Responses API for content or not', (name, data, expected) => {
  const scanner = scannerOf({ endpoint: 'responses' });
  scanner.push(
    Buffer.from(
      `event: ${name}\ndata: ${data.replace('{', `{"type":"${name}"${data === '{}' ? '' : ','}`)}\n\n`,
    ),
    1,
  );
  expect(scanner.hasContent).toBe(expected);
  expect(scanner.malformed).toBe(false);
});

it('holds no more of an endless event than it may', () => {
  const scanner = scannerOf({ removesUsage: true, maxHeldBytes: 1_000_000 });
  let passed = 0;
  let mostHeld = 0;
  for (let index = 1; index <= 40; index += 1) {
    passed += scanner.push(Buffer.alloc(65_536, 97), index).length;
    mostHeld = Math.max(mostHeld, index * 65_536 - passed);
  }
  expect(passed).toBe(40 * 65_536);
  expect(mostHeld).toBeLessThanOrEqual(1_000_000);
});

describe('an event of any length', () => {
  const long = 'lörem "ipsum" \\ \n '.repeat(12_000);
  const longId = { id: `c-${'x'.repeat(100_000)}` };
  const PIECES: Readonly<Record<string, string>> = {
    'a long text': chunk({ content: long }),
    'a long tool call': chunk({ tool_calls: [{ index: 0, function: { arguments: long } }] }),
    'a long end': event(
      JSON.stringify({ choices: [{ index: 0, delta: { content: long }, finish_reason: 'length' }] }),
    ),
    'a long usage event': event(
      JSON.stringify({ ...longId, choices: [], usage: { prompt_tokens: 7, completion_tokens: 2 } }),
    ),
    'long logprobs': event(
      JSON.stringify({
        choices: [
          { index: 0, delta: { content: 'x' }, logprobs: { content: Array(9_000).fill({ token: 'x' }) } },
        ],
      }),
    ),
    'a long error': event(JSON.stringify({ error: { message: long } })),
    'JSON that is broken far behind': event(`${JSON.stringify({ a: long }).slice(0, -1)},}`),
    'two lines of data': `data: {"choices":[],"a":"${'y'.repeat(70_000)}",\ndata:"usage":{"prompt_tokens":7}}\n\n`,
    'a long comment before [DONE]': `: ${'z'.repeat(70_000)}\n${DONE}`,
    short: HELLO,
  };
  const factsOf = ({
    hasContent,
    mayEnd,
    errorEvent,
    malformed,
    usage,
    objectId,
    fault,
    gapsMs,
  }: StreamScanner) => ({
    ...{ hasContent, mayEnd, errorEvent, malformed, usage, fault, gaps: gapsMs.length },
    objectId: objectId?.slice(0, 100),
  });
  const longCuts = fc.array(fc.nat(1_000_000), { maxLength: 12 });

  it('gives the same facts and the same bytes however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...Object.values(PIECES)), { minLength: 1, maxLength: 4 }),
        longCuts,
        fc.boolean(),
        fc.boolean(),
        (pieces, places, removesUsage, carriageReturns) => {
          const text = [ROLE, ...pieces, STOP, USAGE, DONE].join('');
          const sent = carriageReturns ? text.replaceAll('\n', '\r\n') : text;
          const whole = scan(sent, [], removesUsage);
          const cut = scan(sent, places, removesUsage);
          expect(cut.passed === whole.passed).toBe(true);
          expect(factsOf(cut.scanner)).toEqual(factsOf(whole.scanner));
          if (!removesUsage) expect(whole.passed === sent).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);

  it.each([
    ['a long text', { hasContent: true, usage: null }],
    ['a long tool call', { hasContent: true }],
    ['a long end', { hasContent: true, mayEnd: true, fault: null }],
    ['a long usage event', { hasContent: false, usage: { input: 7, cached: 0, output: 2 } }],
    ['long logprobs', { hasContent: true }],
    ['a long error', { hasContent: false, errorEvent: true }],
    ['JSON that is broken far behind', { malformed: true }],
    ['two lines of data', { usage: { input: 7, cached: 0, output: 0 } }],
    ['a long comment before [DONE]', { mayEnd: true, malformed: false }],
  ])('is read: %s', (name, facts) => {
    expect(factsOf(scan(PIECES[name] as string, [], false).scanner)).toMatchObject(facts);
    expect(factsOf(scan(PIECES[name] as string, [9, 66_000, 70_001], false).scanner)).toMatchObject(facts);
  });

  it('is taken out where it is the usage event, and lets the next usage event be taken out', () => {
    const text = PIECES['a long text'] as string;
    const cuts = [1_000, 70_000, 140_000, 210_000];
    expect(scan(ROLE + text + STOP + USAGE + DONE, cuts, true).passed).toBe(ROLE + text + STOP + DONE);
    const usage = PIECES['a long usage event'] as string;
    expect(scan(ROLE + HELLO + STOP + usage + DONE, cuts, true).passed).toBe(ROLE + HELLO + STOP + DONE);
  });

  it('is passed on as it comes once it has shown that it is not the usage event', () => {
    const scanner = scannerOf({ removesUsage: true });
    const text = Buffer.from(PIECES['a long text'] as string);
    let passed = 0;
    for (let at = 0; at < text.length; at += 16_384) {
      passed += scanner.push(text.subarray(at, at + 16_384), at).length;
      if (at > 100_000) expect(passed).toBeGreaterThan(at - 16_384);
    }
  });
});

describe('the choices of a stream', () => {
  const piece = (index: number, delta: object, finish: string | null = null) =>
    event(JSON.stringify({ choices: [{ index, delta, finish_reason: finish }] }));
  const both = [piece(0, { content: 'a' }), piece(1, { content: 'b' })].join('');
  it.each([
    ['both end', both + piece(0, {}, 'stop') + piece(1, {}, 'stop') + DONE, true, null],
    ['one is cut', both + piece(0, {}, 'stop'), false, 'truncated'],
    ['one is cut before [DONE]', both + piece(0, {}, 'stop') + DONE, true, 'truncated'],
    ['one never came', piece(0, { content: 'a' }) + piece(0, {}, 'stop') + DONE, true, 'truncated'],
    ['neither says why it ended', both + DONE, true, null],
  ])('have all to be complete: %s', (_name, text, mayEnd, fault) => {
    const { scanner } = scan(text, [], false, 2);
    expect([scanner.mayEnd, scanner.fault?.kind ?? null]).toEqual([mayEnd, fault]);
  });
});

it.each(['', 'null'])('takes a finish reason of "%s" for none', (reason) => {
  const piece = (content: string, finish: string) =>
    event(JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] }));
  const empty = scan(piece('', reason), [], false).scanner;
  expect([empty.hasContent, empty.mayEnd]).toEqual([false, false]);
  const cut = scan(piece('Hello', reason) + piece(' you', reason), [], false).scanner;
  expect([cut.hasContent, cut.mayEnd, cut.fault?.kind]).toEqual([true, false, 'truncated']);
  const whole = scan(piece('Hello', reason) + piece('', 'stop'), [], false).scanner;
  expect([whole.mayEnd, whole.fault]).toEqual([true, null]);
});

describe('pieces that differ in one text only', () => {
  /** A piece as a provider might write it: the text is put between its quotes as it is. */
  const written = (front: string, key: string, text: string, finish: string, rest: string) =>
    `{"id":"c-1",${front}"choices":[{"index":0,"delta":{"${key}":"${text}"},"finish_reason":${finish}}]${rest}}`;
  const texts = fc.oneof(
    fc.constantFrom(
      ' word',
      '',
      'error',
      'usage',
      'finish_reason',
      '\\',
      '\\\\',
      '\\"',
      '\\"x',
      'x\\',
      '"',
      '","b":"',
    ),
    fc.constantFrom(
      '"},"finish_reason":"stop","a":{"b":"',
      '","error":"x',
      '"}}],"usage":{"a":"',
      '","c":1,"d":"\\',
    ),
    fc.string({ maxLength: 8 }).map((text) => text.replace(/[\r\n]/g, ' ')),
  );
  const pieces = fc.record({
    // As long as each other, so that what follows stands in the same place.
    front: fc.constantFrom('"a_key":{"code":1},', '"a_key":{"code":1},', '"error":{"code":1},'),
    key: fc.constantFrom('content', 'content', 'content', 'reasoning_content', 'refusal'),
    text: texts,
    finish: fc.constantFrom('null', 'null', 'null', '""', '"stop"', '"length"'),
    rest: fc.constantFrom('', '', '', ',"usage":null', ',"usage":{"prompt_tokens":3}', ',"error":{"code":1}'),
  });

  it('are read as each of them is read alone', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), fc.boolean(), (list, carriageReturns) => {
        const all = [written('', 'content', 'first', 'null', '')].concat(
          list.map(({ front, key, text, finish, rest }) => written(front, key, text, finish, rest)),
        );
        const alone = all.map((data, index) => readEvent('chat', '', data, index > 0));
        const text = all.map((data) => event(data)).join('');
        const { scanner } = scan(carriageReturns ? text.replaceAll('\n', '\r\n') : text, [], false);
        expect({
          contents: scanner.gapsMs.length + 1,
          malformed: scanner.malformed,
          errorEvent: scanner.errorEvent,
          mayEnd: scanner.mayEnd,
          usage: scanner.usage,
        }).toEqual({
          contents: alone.filter((facts) => facts?.content === true).length,
          malformed: alone.includes(null),
          errorEvent: alone.some((facts) => facts?.error === true),
          mayEnd: alone.some((facts) => facts !== null && facts.finish !== null),
          usage: alone.findLast((facts) => facts !== null && facts.usage !== null)?.usage ?? null,
        });
      }),
      { numRuns: 3_000 },
    );
  });

  it('are read as those of a stream that has two texts, or changes from one text to another', () => {
    const both = (one: string, other: string) => chunk({ content: one, reasoning_content: other });
    const text = [
      ...[HELLO, both('a', 'b'), both('c', 'd'), both('', 'e'), both('f', ''), both('g', 'h')],
      ...[TOOL, TOOL, HELLO, HELLO, chunk({ content: 'the end' }, 'length'), HELLO],
    ];
    const { scanner } = scan(text.join(''), [], false);
    expect([scanner.gapsMs.length, scanner.mayEnd, scanner.fault]).toEqual([text.length - 1, true, null]);
  });
});

it('sees in the first piece of a named answer what it sees in that of one without a name, which it parses', () => {
  const text = fc.constantFrom(
    'Hello',
    '',
    '"',
    '\\',
    '"}}],"error":{"code":1},"a":[{"b":{"',
    '","tool_calls":[1],"c":"',
  );
  const delta = fc.oneof(
    fc.record({ content: text }),
    fc.record({ content: text, tool_calls: fc.constant([{ index: 0, function: { name: 'f' } }]) }),
    fc.record({
      content: fc.constantFrom('', null),
      annotations: fc.constant([{ delta: { content: 'cited' } }]),
    }),
    fc.record({ reasoning_content: text }, { requiredKeys: [] }),
  );
  const piece = fc.record({
    choices: fc.array(
      fc.record({
        index: fc.constant(0),
        delta,
        finish_reason: fc.constantFrom(null, null, 'stop', 'content_filter'),
      }),
      { maxLength: 1 },
    ),
    usage: fc.constantFrom(null, { prompt_tokens: 3 }),
  });
  fc.assert(
    fc.property(piece, fc.boolean(), (first, fails) => {
      const [named, unnamed] = ['"model":"m",', ''].map((model) => {
        const scanner = scannerOf();
        scanner.push(Buffer.from(event(`{${model}"choices":[{"index":0,"delta":{"role":"assistant"}}]}`)), 1);
        scanner.push(Buffer.from(event(JSON.stringify(fails ? { ...first, error: { code: 1 } } : first))), 2);
        const { hasContent, errorEvent, mayEnd, usage, gist, fault } = scanner;
        return { hasContent, errorEvent, mayEnd, usage, fault, holds: gist?.holds, breach: gist?.breach };
      });
      expect(named).toEqual(unnamed);
    }),
    { numRuns: 2_000 },
  );
});

it('sees reasoning alone for what it is, and what comes after it, whatever else differs between its pieces', () => {
  const padded = (delta: object, index: number) =>
    event(
      JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: null }], padding: `${index}` }),
    );
  const reasoning = Array.from({ length: 20 }, (_, index) =>
    padded({ reasoning_content: `hm ${index}` }, index),
  );
  for (const [after, breach] of [
    ['', 'reasoning_only'],
    [padded({ content: 'Hello' }, 99), null],
  ] as const) {
    const scanner = scannerOf();
    scanner.push(Buffer.from(`${ROLE}${reasoning.join('')}${after}${STOP}${DONE}`), 1);
    expect(scanner.gist?.breach).toBe(breach);
  }
});
