/** What a gateway shows to a judge of pairs. */
export interface Question {
  readonly request: string;
  readonly A: string;
  readonly B: string;
}

/** The question in a request to a judge. */
export function questionIn(body: string): Question {
  return JSON.parse(JSON.parse(body).messages[1].content);
}
