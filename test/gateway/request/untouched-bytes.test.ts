import fc from 'fast-check';
import { followRules } from '../../../src/core/configuration/request-rules';
import { candidateBody, legacyBody } from '../../../src/gateway/request/model-mapping';
import { type RequestFacts, readFacts } from '../../../src/gateway/request/request-facts';

/** A value as its caller wrote it: an object whose fields are known, or the text of anything else. */
type Written = string | WrittenObject;
interface WrittenObject {
  readonly fields: readonly WrittenField[];
  readonly tail: string;
}
interface WrittenField {
  readonly name: string;
  /** The key with its quotes, and what stands around it up to the value. */
  readonly before: string;
  readonly value: Written;
}

const NAMES = ['a', 'b', 'thinking', '__proto__', 'é'];
const TEXTS = [
  ...['9007199254740993', '-9223372036854775808', '1.0', '1e400', '-0', '2.50e+01'],
  ...['"\\u00e9\\/"', '"é\\ud83d"', '""', 'null', 'true', '[ ]', '[1, {"a" :2.50}, "}"]'],
];

const space = fc.constantFrom('', ' ', '\n\t');

function fieldOf(name: string, value: fc.Arbitrary<Written>): fc.Arbitrary<WrittenField> {
  const escaped = `"${[...name].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`;
  return fc
    .tuple(space, fc.constantFrom(JSON.stringify(name), escaped), space, space, value)
    .map(([first, key, second, third, written]) => ({
      name,
      before: `${first}${key}${second}:${third}`,
      value: written,
    }));
}

function objectOf(value: fc.Arbitrary<Written>): fc.Arbitrary<WrittenObject> {
  return fc
    .subarray(NAMES)
    .chain((names) => fc.tuple(...names.map((name) => fieldOf(name, value))))
    .chain((fields) =>
      fc.record({ fields: fc.shuffledSubarray(fields, { minLength: fields.length }), tail: space }),
    );
}

const text = fc.constantFrom<Written>(...TEXTS);
const inner = objectOf(fc.oneof(text, objectOf(text)));

const leaf = fc.constantFrom<unknown>(1, -0.5, 'x "quoted"', null, false, [], [{ a: 1 }]);
const rule: fc.Arbitrary<unknown> = fc.oneof(
  leaf,
  fc.dictionary(fc.constantFrom(...NAMES), fc.oneof(leaf, fc.dictionary(fc.constantFrom(...NAMES), leaf))),
);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(written: Written): string {
  if (typeof written === 'string') return written;
  return `{${written.fields.map(({ before, value }) => before + textOf(value)).join()}${written.tail}}`;
}

/** What is to be sent: only the fields that a rule names are written anew, and new ones come last. */
function expected(written: Written, wanted: unknown): string {
  if (typeof written === 'string' || !isObject(wanted)) return JSON.stringify(wanted);
  const names = Object.keys(wanted);
  if (names.length === 0) return textOf(written);
  if (written.fields.length === 0) return JSON.stringify(wanted);
  const kept = written.fields.map(({ name, before, value }) =>
    names.includes(name) ? before + expected(value, wanted[name]) : before + textOf(value),
  );
  const added = names
    .filter((name) => !written.fields.some((field) => field.name === name))
    .map((name) => `${JSON.stringify(name)}:${JSON.stringify(wanted[name])}`);
  return `{${[...kept, ...added].join()}${written.tail}}`;
}

const NO_RULES = { rename: {}, drop: [], set: {} };

it.each(['legacy', 'candidate'] as const)('leaves every byte that no rule for %s touches', (provider) => {
  fc.assert(
    fc.property(
      objectOf(fc.oneof(text, inner)),
      fc.dictionary(fc.constantFrom(...NAMES), rule, { maxKeys: 3 }),
      ({ fields, tail }, set) => {
        const model = { name: 'model', before: ' "model" : ', value: '"gpt"' };
        const written = { fields: [model, ...fields], tail };
        const raw = Buffer.from(textOf(written));
        const facts = readFacts(raw) as RequestFacts;
        const rules = { ...NO_RULES, set };
        const { body } =
          provider === 'legacy'
            ? legacyBody(raw, facts, { candidate: 'x', parameters: NO_RULES, legacyParameters: rules }, false)
            : candidateBody(raw, facts, { candidate: 'x', parameters: rules }, false);
        const renamed = provider === 'legacy' ? '"gpt"' : '"x"';
        const asSent = { fields: [{ ...model, value: renamed }, ...fields], tail };
        expect(body.toString()).toBe(expected(asSent, set));
        const parsed = JSON.parse(textOf(asSent)) as object;
        expect(followRules(parsed, rules)).toEqual(JSON.parse(body.toString()));
      },
    ),
    { numRuns: 2_000 },
  );
});
