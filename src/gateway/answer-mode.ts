import type { AnswerHead } from './answer-head';
import type { AttemptOptions } from './attempt-options';
import { type Failure, statusFailure } from './failure';
import { isValidated } from './plain-answer';

/** `held`: kept back; `passed`: goes on as it comes; `scanned`: the same, read as events on the side. */
export type AnswerMode = 'held' | 'passed' | 'scanned' | 'scanned-held';

/** A plain answer of known length up to this is passed on in one piece. */
const ONE_PIECE_BYTES = 65_536;

/** How an answer is treated by its head, or the failure that its head already is. */
export function answerMode(status: number, head: AnswerHead, options: AttemptOptions): AnswerMode | Failure {
  // Clients follow redirects with key and prompt, to wherever they lead.
  const redirect = status >= 300 && status < 400 && status !== 304 ? statusFailure(status) : null;
  if (redirect !== null) return redirect;
  if (status === 204 || status === 304 || options.method === 'HEAD') return 'passed';
  if (status >= 400) return 'held';
  const isStream = head.contentType.startsWith('text/event-stream') && !head.coded;
  return options.holds ? heldMode(isStream, head, options) : passedMode(isStream, head, options);
}

/** What is held for another attempt's sake must be what was asked for. */
function heldMode(
  isStream: boolean,
  head: AnswerHead,
  { streams, endpoint }: AttemptOptions,
): AnswerMode | Failure {
  if (isStream) {
    if (streams || endpoint === 'bytes') return 'scanned-held';
    return { kind: 'malformed', why: 'expected a plain answer, got a stream', ambiguous: true };
  }
  if (endpoint === 'bytes') return 'passed';
  if (!streams) return 'held';
  if (head.coded) return 'passed';
  const why = `expected a stream, got content type "${head.contentType.slice(0, 60)}"`;
  return { kind: 'malformed', why, ambiguous: true };
}

function passedMode(isStream: boolean, head: AnswerHead, { reads, endpoint }: AttemptOptions): AnswerMode {
  if (isStream) return reads ? 'scanned' : 'passed';
  const isShort = head.contentLength !== null && head.contentLength <= ONE_PIECE_BYTES;
  const isRead = reads && isValidated(endpoint, head.contentType) && !head.coded;
  return isShort || isRead ? 'held' : 'passed';
}
