import { judgeServedModel, servedModelAsks } from '../../../src/core/gates/judge-served-model';
import {
  afterAcceptance,
  contextEvent,
  type IdentityKnowledge,
  type IdentityReply,
  identityProblem,
  identityStart,
  withIdentityEvent,
  withReply,
} from '../../../src/core/identity/identity-audit';
import { FIXED_TEXTS, questionAt, SAMPLED_QUESTIONS } from '../../../src/core/identity/identity-questions';
import { parseReference, referenceFile } from '../../../src/core/identity/identity-reference-schema';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { probed, referenceOf, replyOf, simulatedModel } from '../../support/providers/sold-model';

const random = seededRandom(11);
const SOLD = simulatedModel(random);
const REFERENCE = referenceOf(SOLD, random);
const KNOWN = probed(REFERENCE, () => SOLD, { probes: 40, random });

/** Further turns with what replies say otherwise. */
function after(
  start: IdentityKnowledge,
  turns: number,
  said: Partial<IdentityReply & { ok: true }>,
): IdentityKnowledge {
  let standing = start;
  for (let turn = 0; turn < turns; turn += 1) {
    const question = questionAt(standing.turns);
    const reply = { ...replyOf(SOLD, question, random), ...said } as IdentityReply;
    standing = withReply(standing, REFERENCE, question, reply, random());
  }
  return standing;
}

const sentences = ({ events }: IdentityKnowledge) => events.map(({ sentence }) => sentence);

it('takes a constant prompt of the provider for what it is', () => {
  expect(KNOWN.events).toEqual([]);
  expect(KNOWN.tokens[0]).toBe((REFERENCE.fixed[0] ?? 0) + 7);
  expect(judgeServedModel({ standing: KNOWN, alpha: 0.01 })).toMatchObject({ outcome: 'pass', harm: false });
});

it.each([
  [
    'model',
    { model: 'large-chat-mini' },
    'the model named in answers has changed: large-chat before, large-chat-mini now',
  ],
  ['fingerprint', { fingerprint: null }, 'the fingerprint of answers has changed: fp_1 before, (none) now'],
  ['reasoning', { reasons: true }, 'answers come with reasoning, which the reference has none of'],
] as const)('takes another %s for an event at once, and once', (_, said, sentence) => {
  const changed = after(KNOWN, 3, said);
  expect(sentences(changed)).toEqual([sentence]);
  const verdict = judgeServedModel({ standing: changed, alpha: 0.01 });
  expect(verdict).toMatchObject({ outcome: 'fail', sentence: `identity: ${sentence}` });
  const accepted = afterAcceptance(changed);
  expect(after(accepted, 20, said).events).toEqual([]);
});

it('takes another token count of a fixed text for an event, and after acceptance only its further changes', () => {
  const recounted = after(KNOWN, 4, { inputTokens: 99 });
  expect(sentences(recounted)).toEqual([
    expect.stringMatching(/^the token count of fixed text \d has changed: \d+ before, 99 now$/),
  ]);
  const accepted = afterAcceptance(recounted);
  expect(after(accepted, 40, { inputTokens: 99 }).events).toEqual([]);
  expect(after(after(accepted, 40, { inputTokens: 99 }), 4, { inputTokens: 98 }).events).toHaveLength(1);
});

it('learns the fingerprints that replicas take turns with before it takes one for a change', () => {
  let standing = identityStart(REFERENCE, 'sold.json');
  for (let turn = 0; turn < 30; turn += 1) standing = after(standing, 1, { fingerprint: `fp_${turn % 3}` });
  expect(standing.events).toEqual([]);
  expect(after(standing, 1, { fingerprint: 'fp_9' }).events).toHaveLength(1);
});

it('names another context, where both say theirs', () => {
  const event = contextEvent(REFERENCE, 8_192);
  expect(event?.sentence).toBe('the list of models names a context of 8192 tokens, 32768 in the reference');
  expect(contextEvent(REFERENCE, null)).toBeNull();
  expect(event === null ? [] : withIdentityEvent(withIdentityEvent(KNOWN, event), event).events).toHaveLength(
    1,
  );
});

it('asks for an approval where answers are distributed otherwise, and does not fail', () => {
  const other = simulatedModel(random);
  const standing = probed(REFERENCE, () => other, { probes: 100, random });
  const asks = servedModelAsks({ standing, alpha: 0.01 });
  expect(asks).toEqual([
    expect.stringMatching(
      /^identity: \d+ answers are distributed differently from those of the reference, e-value .* of 100 needed$/,
    ),
  ]);
  expect(judgeServedModel({ standing, alpha: 0.01 }).outcome).toBe('pass');
});

it.each([
  [
    'no token counts',
    { inputTokens: null },
    'answers report no usage.prompt_tokens, so token counts cannot be compared',
  ],
  ['nothing', { ok: false, problem: 'it does not answer: timeout' }, 'it does not answer: timeout'],
])('says that it does not know where answers have %s', (_, said, problem) => {
  const standing = after(
    identityStart(REFERENCE, 'sold.json'),
    30,
    said as Partial<IdentityReply & { ok: true }>,
  );
  expect(identityProblem(standing)).toBe(problem);
  const verdict = judgeServedModel({ standing, alpha: 0.01 });
  expect(verdict).toMatchObject({ outcome: 'not evaluated', sentence: `identity: not known, ${problem}` });
});

it('says so where only questions that leave a choice are refused', () => {
  let standing = identityStart(REFERENCE, 'sold.json');
  for (let turn = 0; turn < 12; turn += 1) {
    const refused = questionAt(standing.turns).kind === 'sampled';
    standing = refused
      ? withReply(
          standing,
          REFERENCE,
          questionAt(standing.turns),
          { ok: false, problem: 'temperature 1 is refused' },
          0.5,
        )
      : after(standing, 1, {});
  }
  expect(identityProblem(standing)).toBe('temperature 1 is refused');
});

it('asks every question in turn, the fixed texts first', () => {
  const turns = Array.from({ length: 200 }, (_, turn) => questionAt(turn));
  expect(turns.slice(0, 5).map(({ kind }) => kind)).toEqual(new Array(5).fill('fixed'));
  for (const [kind, count] of [
    ['fixed', FIXED_TEXTS.length],
    ['sampled', SAMPLED_QUESTIONS.length],
  ] as const) {
    const seen = turns.filter((question) => question.kind === kind).map(({ index }) => index);
    expect(new Set(seen).size).toBe(count);
  }
});

const FILE = referenceFile(REFERENCE);

it('reads the file that it writes', () => {
  expect(parseReference(FILE, 'sold.json')).toEqual(REFERENCE);
});

it.each([
  [
    'cut short',
    FILE.slice(0, -40),
    /sold.json is not valid:\n {2}expected a reference that cutover identity enrol wrote, got \d+ characters that are not JSON: it may be cut short/,
  ],
  [
    'changed',
    FILE.replace('"large-chat"', '"small-chat"'),
    /digest: expected sha256:[0-9a-f]{64}, which the content has, got sha256:/,
  ],
  ['something else', '{"stages":[]}', /identityReference: /],
  [
    'of other questions',
    FILE.replace('"questionSet": 1', '"questionSet": 9'),
    /questionSet: expected questions of set 1, which this release asks: enrol the model again/,
  ],
])('refuses a file that is %s', (_, text, message) => {
  expect(() => parseReference(text, 'sold.json')).toThrow(message);
});
