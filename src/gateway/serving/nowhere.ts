import type { AnswerSink } from '../upstream/attempt-options';

/** Takes an answer that is only read. */
export const NOWHERE: AnswerSink = {
  begin: () => {},
  flush: () => {},
  write: () => true,
  end: () => {},
  whole: () => {},
  breakOff: () => {},
};
