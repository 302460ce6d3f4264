/** The search attribute types that this program uses, spelled as the `temporal` command spells them. */
export type SearchAttributeKind = 'Keyword' | 'Double' | 'Bool';

/** What a Temporal namespace must know before a migration starts, by name; registered at start or by the Compose setup. */
export const SEARCH_ATTRIBUTES = {
  CutoverRoute: 'Keyword',
  CutoverStage: 'Keyword',
  CutoverShare: 'Double',
  CutoverPaused: 'Bool',
} as const satisfies Readonly<Record<string, SearchAttributeKind>>;
