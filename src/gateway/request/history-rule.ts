import type { HistoryRules } from '../../core/configuration/request-rules';
import { type Edit, type FieldRules, fieldEdits, type InnerRule } from '../json/json-edit';
import { isString, readJsonFields } from '../json/json-fields';
import { type JsonVisitor, scanJson } from '../json/json-scanner';

/** Renames and drops fields of assistant messages where they stand, in a list of messages. */
export function historyRule({ rename, drop }: HistoryRules): InnerRule {
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
      const messages = new AssistantMessages(raw);
      if (raw[start] === OPEN_ARRAY) scanJson(raw, start, messages);
      return messages.starts.flatMap((at): readonly Edit[] => {
        const fields = readJsonFields(raw, at);
        return fields === null ? [] : fieldEdits(raw, fields, rules);
      });
    },
  };
}

const OPEN_ARRAY = 0x5b;

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
