/** How refusals begin, in the languages of `text-language.ts` that models refuse in most. */
const OPENINGS: readonly RegExp[] = [
  /^(i'?m|i am) (very |really |so )?(sorry|afraid|unable|not able)/,
  /^(sorry|apologies|unfortunately)\b.{0,60}\b(can('?|no)t|unable|won'?t|not able)\b/,
  /^(i )?(can('?|no)t|cannot|won'?t|will not) (help|assist|provide|comply|do that|fulfil|support|share|give|write|create)/,
  /^as an ai\b.{0,80}\b(can('?|no)t|cannot|unable)\b/,
  /^(lo siento|no puedo (ayudar|asistir|proporcionar))/,
  /^(désolée?|je suis désolée?|je ne peux pas (vous )?(aider|fournir))/,
  /^(es tut mir leid|tut mir leid|das kann ich nicht|ich kann (dir |ihnen )?(dabei |hierbei )?nicht)/,
  /^(mi dispiace|non posso (aiutar|fornir))/,
  /^(desculpe|sinto muito|não posso (ajudar|fornecer))/,
  /^(抱歉|对不起|對不起|很抱歉|我无法|我不能|我無法)/,
  /^(申し訳|すみませんが|お手伝いできません)/,
  /^(죄송|도와드릴 수 없)/,
  /^(извините|к сожалению.{0,40}не могу|я не могу (помочь|предоставить))/,
];

/** Whether a text opens as refusals do. Short of a judge this is what can be told, and both sides are told alike. */
export function opensAsRefusal(text: string): boolean {
  const opening = text.trimStart().slice(0, 200).toLowerCase().replaceAll('’', "'");
  return OPENINGS.some((pattern) => pattern.test(opening));
}
