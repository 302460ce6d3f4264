import fc from 'fast-check';
import { StreamScanner } from '../../src/gateway/stream-scanner';
import { chunk, DONE, event, HELLO, ROLE, STOP } from '../support/fault-provider';

const USAGE = event('{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}');
const TOOL = chunk({ tool_calls: [{ index: 0, function: { name: 'f', arguments: '{"usage":1}' } }] });
const QUOTING = chunk({ content: 'the "usage": {"x":1} of "error" and "finish_reason":"stop"\n\ndata: x' });
const COMMENT = ': ping\n\n';

/** Pushes a text cut at the given places; returns what was passed on and the scanner. */
function scan(text: string, cuts: readonly number[], removesUsage: boolean) {
  const scanner = new StreamScanner('chat', removesUsage);
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
      const text = [ROLE, ...middle, STOP, USAGE, DONE].join('');
      const sent = carriageReturns ? text.replaceAll('\n', '\r\n') : text;
      const whole = scan(sent, [], false);
      const cut = scan(sent, places, false);
      expect(cut.passed).toBe(sent);
      expect(cut.scanner.finished).toBe(true);
      expect(cut.scanner.usage).toEqual({ input: 7, cached: 0, output: 2 });
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
  const scanner = new StreamScanner('responses', false);
  scanner.push(
    Buffer.from(
      `event: ${name}\ndata: ${data.replace('{', `{"type":"${name}"${data === '{}' ? '' : ','}`)}\n\n`,
    ),
    1,
  );
  expect(scanner.hasContent).toBe(expected);
  expect(scanner.malformed).toBe(false);
});

it('holds no more of an endless event than its limit', () => {
  const scanner = new StreamScanner('chat', true);
  let passed = 0;
  for (let index = 0; index < 40; index += 1) passed += scanner.push(Buffer.alloc(65_536, 97), index).length;
  expect(passed).toBe(40 * 65_536);
});
