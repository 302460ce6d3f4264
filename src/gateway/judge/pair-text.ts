import { requestText } from '../../core/assessment/judge-pairs';
import type { SaidChoice } from '../contract/judge-answer';
import type { KeptAnswer } from '../contract/kept-answer';
import { readChoices } from '../contract/read-choices';
import { parseObject } from '../request/request-facts';

/** Longer requests and answers are shown to no judge. */
const JUDGED_MOST_BYTES = 65_536;

/** What a request asks, as text; null for one that says nothing that could be shown. */
export function askedText(body: Buffer): string | null {
  const request = body.length > JUDGED_MOST_BYTES ? null : parseObject(body.toString('utf8'));
  return request === null ? null : requestText(request);
}

/** What an answer of one choice says, as text with its calls of tools; null where it was not kept or is too long. */
export function answerText(kept: KeptAnswer | null): string | null {
  const text = kept?.text ?? null;
  if (text === null) return null;
  if ('choices' in text) return choiceText(text.choices);
  const answer =
    text.body.length > JUDGED_MOST_BYTES ? null : parseObject(Buffer.from(text.body).toString('utf8'));
  return answer === null ? null : choiceText(readChoices(answer));
}

function choiceText(choices: readonly SaidChoice[]): string | null {
  const [choice] = choices;
  if (choice === undefined || choices.length > 1) return null;
  const calls = choice.calls.map(({ name, arguments: given }) => `${name}(${given})`);
  const said = [choice.text, ...calls].filter((part) => part !== '').join('\n');
  return Buffer.byteLength(said) > JUDGED_MOST_BYTES ? null : said;
}
