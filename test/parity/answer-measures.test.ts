import { comparableJson, equalFields } from '../../src/parity/canonical-json';
import { languageOf, sameLanguage } from '../../src/parity/text-language';
import { cosine, lengthRatio, similarity } from '../../src/parity/text-likeness';
import { opensAsRefusal } from '../../src/parity/text-refusal';

it.each([
  ['The kettle is ready, and this is what you have been waiting for.', 'english'],
  ['La tetera está lista y esto es lo que estabas esperando con los amigos.', 'spanish'],
  ['La bouilloire est prête et vous avez le temps pour une tasse avec nous.', 'french'],
  ['Der Kessel ist fertig und das Wasser wird nicht mehr lange heiß sein.', 'german'],
  ['A chaleira está pronta e não é mais preciso esperar como você pensa.', 'portuguese'],
  ['ケトルの準備ができましたので、お茶をどうぞ。', 'japanese'],
  ['水壶已经准备好了，请慢用，不要烫到手。', 'chinese'],
  ['الغلاية جاهزة ويمكنكم الآن شرب الشاي', 'arabic'],
  ['Чайник готов, можно пить чай', 'cyrillic'],
])('takes %p for %s', (text, language) => {
  expect(languageOf(text)).toMatchObject({ language });
});

it('does not guess a language from a word', () => {
  expect(languageOf('7203')).toBeNull();
  expect(sameLanguage('yes', 'no')).toBeNull();
  expect(sameLanguage('Kaffee Kessel Garten Brücke', 'coffee kettle garden bridge')).toBeNull();
  expect(sameLanguage('Чайник готов, можно пить чай', 'coffee kettle garden bridge')).toBe(false);
});

it.each([
  ["I'm sorry, but I can't help with that.", true],
  ['I cannot assist with this request.', true],
  ['As an AI model I am unable to do that.', true],
  ['Lo siento, pero no puedo ayudar con eso.', true],
  ['Es tut mir leid, dabei kann ich nicht helfen.', true],
  ['抱歉，我无法协助。', true],
  ['Sorry for the delay! Your order has been sent.', false],
  ['You cannot return it after 30 days.', false],
])('reads %p as a refusal: %p', (text, refuses) => {
  expect(opensAsRefusal(text)).toBe(refuses);
});

it('finds another wording more alike than another subject, and that more than another script', () => {
  const said = 'A cache may return an old value because it was filled before the value changed.';
  const reworded = 'A cache can return old values, since it was filled before the value was changed.';
  const other = 'Our train leaves at nine and the walk along the river takes about three hours.';
  const [same, near, far, foreign] = [said, reworded, other, '水壶已经准备好了'].map((text) =>
    similarity(said, text),
  );
  expect(same).toBe(1);
  expect(near).toBeGreaterThan(0.6);
  expect(far).toBeLessThan(0.35);
  expect(foreign).toBe(0);
});

it('compares documents by what they mean', () => {
  expect(comparableJson({ b: 'x  y ', a: [1.0, { d: 1, c: 2 }] })).toBe(
    comparableJson({ a: [1, { c: 2, d: 1 }], b: 'x y' }),
  );
  expect(equalFields({ a: 1, b: { c: 2 } }, { b: { c: 2 }, a: 1 })).toBe(1);
  expect(equalFields({ a: 1, b: 2 }, { a: 1, c: 2 })).toBeCloseTo(1 / 3);
  expect(equalFields([], {})).toBe(0);
});

it('measures lengths and vectors', () => {
  expect(lengthRatio('four', 'fourfour')).toBe(0.5);
  expect(lengthRatio('', '')).toBe(1);
  expect(cosine([1, 0], [1, 0])).toBe(1);
  expect(cosine([1, 0], [1, 0, 0])).toBe(0);
  expect(cosine([0, 0], [1, 0])).toBe(0);
});
