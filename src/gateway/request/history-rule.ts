import type { HistoryRules } from '../../core/configuration/history-rules';
import { fittingId, idFieldOf, type ToolCallIds } from '../../core/configuration/tool-call-ids';
import { type Edit, type FieldRules, fieldEdits, type InnerRule } from '../json/json-edit';
import { isString, readJsonFields, readString } from '../json/json-fields';
import { type JsonVisitor, scanJson } from '../json/json-scanner';

/** Renames and drops fields of assistant messages where they stand, in a list of messages, and fits ids of tool calls. */
export function historyRule({ rename, drop, toolCallIds }: HistoryRules): InnerRule {
  const targets = [...new Set(Object.values(rename))];
  const names = [...new Set([...Object.keys(rename), ...drop, ...targets])];
  const rules: FieldRules = {
    names,
    targets,
    becomes: names.map((name) => {
      const renamed = Object.hasOwn(rename, name) ? (rename[name] as string) : name;
      return drop.includes(name) || drop.includes(renamed) ? -1 : targets.indexOf(renamed);
    }),
    values: targets.map(() => null),
  };
  return {
    absent: null,
    edits: (raw, start) => {
      if (raw[start] !== OPEN_ARRAY) return [];
      const edits = names.length === 0 ? [] : editsOfAssistants(raw, start, rules);
      if (toolCallIds === undefined) return edits;
      const ids = new ToolCallIdEdits(raw, toolCallIds);
      scanJson(raw, start, ids);
      // Ids stand in fields that no rule can name, so that no two of them overlap.
      return [...edits, ...ids.edits].sort((a, b) => a.start - b.start);
    },
  };
}

const OPEN_ARRAY = 0x5b;

function editsOfAssistants(raw: Buffer, start: number, rules: FieldRules): Edit[] {
  const messages = new AssistantMessages(raw);
  scanJson(raw, start, messages);
  return messages.starts.flatMap((at): readonly Edit[] => {
    const fields = readJsonFields(raw, at);
    return fields === null ? [] : fieldEdits(raw, fields, rules);
  });
}

/** Finds where the messages of assistants begin; of roles that come twice the last one counts. */
class AssistantMessages implements JsonVisitor {
  readonly starts: number[] = [];
  #start = 0;
  #isRole = false;
  #isAssistant = false;

  constructor(private readonly raw: Buffer) {}

  key(start: number, end: number, depth: number): void {
    if (depth !== 2) return;
    this.#isRole = isString(this.raw, start, end, 'role');
    if (this.#isRole) this.#isAssistant = false;
  }

  scalar(start: number, end: number, depth: number): void {
    if (depth === 2 && this.#isRole) this.#isAssistant = isString(this.raw, start, end, 'assistant');
  }

  open(isObject: boolean, start: number, depth: number): boolean {
    if (depth === 1) {
      this.#start = start;
      this.#isAssistant = false;
      return isObject;
    }
    return depth === 0;
  }

  close(_end: number, depth: number): void {
    if (depth === 1 && this.#isAssistant) this.starts.push(this.#start);
    if (depth === 1) this.#isAssistant = false;
  }
}

type Span = readonly [start: number, end: number];

/** Finds the ids of tool calls and of their results in messages of both dialects. */
class ToolCallIdEdits implements JsonVisitor {
  readonly edits: Edit[] = [];
  /** The field of a message that is read. */
  #field: 'tool_call_id' | 'tool_calls' | 'content' | null = null;
  /** The field of a call, or of a block of content, that is read. */
  #inner: 'type' | 'id' | 'tool_use_id' | null = null;
  #isInItem = false;
  #type = '';
  #ids = new Map<string, Span>();

  constructor(
    private readonly raw: Buffer,
    private readonly form: ToolCallIds,
  ) {}

  key(start: number, end: number, depth: number): void {
    if (depth === 2) this.#field = this.#nameOf(start, end, ['tool_call_id', 'tool_calls', 'content']);
    else if (depth === 4 && this.#isInItem) {
      this.#inner = this.#nameOf(start, end, ['type', 'id', 'tool_use_id']);
    }
  }

  scalar(start: number, end: number, depth: number): void {
    if (depth === 2 && this.#field === 'tool_call_id') this.#fit([start, end]);
    if (depth !== 4 || !this.#isInItem || this.#inner === null) return;
    if (this.#inner !== 'type') this.#ids.set(this.#inner, [start, end]);
    else this.#type = this.raw[start] === QUOTE ? readString(this.raw, start, end) : '';
  }

  open(isObject: boolean, _start: number, depth: number): boolean {
    if (depth === 0) return true;
    if (depth === 1) return isObject;
    if (depth === 2) return !isObject && (this.#field === 'tool_calls' || this.#field === 'content');
    if (depth !== 3) return false;
    this.#isInItem = isObject;
    this.#type = '';
    this.#ids.clear();
    return isObject;
  }

  close(_end: number, depth: number): void {
    if (depth !== 3 || !this.#isInItem) return;
    this.#isInItem = false;
    const field = this.#field === 'tool_calls' ? 'id' : idFieldOf(this.#type);
    const id = field === null ? undefined : this.#ids.get(field);
    if (id !== undefined) this.#fit(id);
  }

  #fit([start, end]: Span): void {
    if (this.raw[start] !== QUOTE) return;
    const id = readString(this.raw, start, end);
    const fitted = fittingId(id, this.form);
    if (fitted !== id) this.edits.push({ start, end, text: JSON.stringify(fitted) });
  }

  #nameOf<Name extends string>(start: number, end: number, names: readonly Name[]): Name | null {
    return names.find((name) => isString(this.raw, start, end, name)) ?? null;
  }
}

const QUOTE = 0x22;
