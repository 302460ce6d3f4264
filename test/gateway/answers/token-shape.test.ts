import { TokenShape } from '../../../src/gateway/answers/token-shape';

const piece = (text: string, finish = 'null', id = 'c-1') =>
  `data: {"id":"${id}","choices":[{"delta":{"content":"${text}"},"finish_reason":${finish}}]}`;

function learned(...events: readonly string[]): TokenShape {
  const shape = new TokenShape();
  for (const event of events) shape.learn(event, 0, event.length);
  return shape;
}

function matches(shape: TokenShape, event: string): boolean {
  const text = `${piece('before')}\n\n${event}\n\n`;
  return shape.matches(text, text.indexOf('\n') + 2, text.length - 2);
}

it('matches nothing before it has learned an event, or from one without a text', () => {
  expect(matches(learned(), piece('a'))).toBe(false);
  const without = 'data: {"choices":[{"delta":{"audio":"x"}}]}';
  expect(matches(learned(without), without)).toBe(false);
});

it.each([
  ['another text', piece(' words'), true],
  ['no text', piece(''), true],
  ['an escape', piece('\\n\\u00e4\\\\'), true],
  ['a quote in the text', piece('say \\"hi\\"'), false],
  ['a finish reason', piece('x', '"stop"'), false],
  ['another id', piece('x', 'null', 'c-2'), false],
  ['a second key behind the text', piece('x","refusal":"y'), false],
  ['the beginning only', piece('x').slice(0, -4), false],
  ['one quote where two should be', piece('').replace('""', '"'), false],
])('matches by all but the text: %s', (_what, event, expected) => {
  expect(matches(learned(piece('Hello')), event)).toBe(expected);
  expect(matches(learned(piece('say \\"')), event)).toBe(expected);
  expect(matches(learned(piece('C:\\\\')), event)).toBe(expected);
});

it.each(['text', 'arguments', 'reasoning_content', 'reasoning'])('learns from a text under %s', (key) => {
  const of = (text: string) => piece(text).replace('content', key);
  expect(matches(learned(of('a')), of('b'))).toBe(true);
});

it('learns no more from a stream in which nothing matches, and goes on learning while something does', () => {
  const ids = Array.from({ length: 20 }, (_, index) => piece('x', 'null', `c-${index}`));
  expect(matches(learned(...ids), ids.at(-1) as string)).toBe(false);
  const shape = learned();
  for (const event of ids) {
    shape.learn(event, 0, event.length);
    expect(matches(shape, event)).toBe(true);
  }
});
