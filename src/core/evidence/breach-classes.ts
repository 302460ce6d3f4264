/** Every class of a breach, in the order in which evidence keeps their counts: new ones are added at the end. */
export const BREACH_CLASSES = [
  ...(['empty', 'reasoning_only', 'cut', 'content_filter', 'refusal', 'json_unparsed'] as const),
  ...(['json_schema', 'tool_unknown', 'tool_unparsed', 'tool_schema', 'tool_missing'] as const),
] as const;

/**
 * What an answer with a status of success broke of its contract. Where several apply, the first of the lists below counts:
 * a request breaches its contract at most once.
 */
export type BreachClass = (typeof BREACH_CLASSES)[number];

/** Classes that an answer breaches whatever was asked, in the order in which they count. */
export const PLAIN_BREACHES: readonly BreachClass[] = [
  // Nothing that a caller can use: no content, call or refusal.
  'empty',
  'reasoning_only',
  // It ended at the limit of tokens.
  'cut',
  'content_filter',
  'refusal',
];

/** Classes that depend on what was asked, in the order in which they count: each of them after the plain ones. */
export const ASKED_BREACHES: readonly BreachClass[] = [
  // JSON was asked for, and the answer does not parse.
  'json_unparsed',
  'json_schema',
  // A call of a tool that the request does not name.
  'tool_unknown',
  // Arguments that do not parse, or that do not keep to the schema of their tool.
  'tool_unparsed',
  'tool_schema',
  // A tool was required, and none was called.
  'tool_missing',
];
