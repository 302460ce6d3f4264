import { isJsonObject } from '../text/json-object';
import { type ToolCallIds, withFittingIds } from './tool-call-ids';

/** What becomes of what a conversation's maker added to it, on the way to another provider. */
export interface HistoryRules {
  /** Old name to new name of fields in assistant messages. */
  readonly rename: Readonly<Record<string, string>>;
  readonly drop: readonly string[];
  readonly toolCallIds?: ToolCallIds | undefined;
}

/** The messages of a conversation by the rules for what its maker added. */
export function followHistory<Message>(messages: readonly Message[], rules: HistoryRules): Message[] {
  const { toolCallIds } = rules;
  return messages.map((message) => {
    if (!isJsonObject(message)) return message;
    const kept =
      message['role'] === 'assistant' ? Object.fromEntries(renamedFields(message, rules)) : message;
    return (toolCallIds === undefined ? kept : withFittingIds(kept, toolCallIds)) as Message;
  });
}

/** An object's fields, renamed and dropped. */
export function renamedFields(
  object: object,
  { rename, drop }: Pick<HistoryRules, 'rename' | 'drop'>,
): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [name, value] of Object.entries(object)) {
    const renamed = Object.hasOwn(rename, name) ? (rename[name] as string) : name;
    if (!drop.includes(name) && !drop.includes(renamed)) fields.set(renamed, value);
  }
  return fields;
}
