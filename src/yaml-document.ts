import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument as parseYaml,
  type YAMLMap,
  type YAMLParseError,
} from 'yaml';
import { type Place, rememberPlaces } from './core/configuration/document-place';
import { InvalidDocument } from './core/configuration/schema-parts';

/** Parses YAML or JSON, and remembers where each field stands for what is wrong with it; throws `InvalidDocument`. */
export function readYaml(text: string, file: string): unknown {
  if (NOT_TEXT.test(text)) {
    throw new InvalidDocument(file, [
      { path: '(file)', message: 'is not text in UTF-8: save it in that encoding', place: null },
    ]);
  }
  const lines = new LineCounter();
  const document = parseYaml(text, { merge: true, lineCounter: lines, prettyErrors: false });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const refused = (message: string, place: Place | null) =>
    new InvalidDocument(file, [{ path: '(file)', message, place }]);
  const [error] = document.errors;
  if (error !== undefined) throw refused(errorText(error, text), placeAt(error.pos[0]));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw refused(unreadable(cause instanceof Error ? cause.message : String(cause)), null);
  }
  rememberPlaces(value, (path) => {
    const offset = offsetOf(document, path);
    return offset === null ? null : placeAt(offset);
  });
  return value;
}

/** A zero byte, as UTF-16 and programs have, or two bytes in a row that no UTF-8 has. */
const NOT_TEXT = /\0|\ufffd\ufffd/;

function unreadable(why: string): string {
  return `is neither YAML nor JSON: ${why}`;
}

/** The parser's words, or ours where its own do not say what to do. */
function errorText({ code, message, pos }: YAMLParseError, text: string): string {
  switch (code) {
    case 'DUPLICATE_KEY': {
      const name = /^[^\s:,{}]*/.exec(text.slice(pos[0]))?.[0] ?? '';
      return `has the field ${name} twice: keep one of them`;
    }
    case 'TAB_AS_INDENT':
      return unreadable('this line is indented by a tab: use spaces');
    case 'BLOCK_AS_IMPLICIT_KEY':
      return unreadable('a second colon in one line: put a text that contains ": " into quotes');
    case 'MULTIPLE_DOCS':
      return unreadable('expected one document, got another one after ---');
    default:
      return unreadable(message);
  }
}

/** Where a field begins in the text, or the nearest one around it that is there. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | null {
  let node = resolved(document, document.contents);
  let offset = node?.range?.[0] ?? null;
  for (const key of path) {
    if (isMap(node)) {
      const pair = pairIn(document, node, key);
      if (pair === null) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = resolved(document, pair.value as Node | null);
    } else if (isSeq(node) && typeof key === 'number') {
      const item = node.items[key] as Node | undefined;
      if (item === undefined) return offset;
      offset = item.range?.[0] ?? offset;
      node = resolved(document, item);
    } else return offset;
  }
  return offset;
}

/** A field of a map, its own or one that it merges from another. */
function pairIn(document: Document, map: YAMLMap, key: PropertyKey): YAMLMap['items'][number] | null {
  const named = (name: PropertyKey) =>
    map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(name));
  const own = named(key);
  if (own !== undefined) return own;
  const merged = resolved(document, named('<<')?.value as Node | null | undefined);
  return isMap(merged) ? pairIn(document, merged, key) : null;
}

function resolved(document: Document, node: Node | null | undefined): Node | null {
  return (isAlias(node) ? node.resolve(document) : node) ?? null;
}
