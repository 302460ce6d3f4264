import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { judgeAgain } from '../../../src/core/rehearsal/recorded-window';
import { readMigration } from '../../../src/history/recorded-migration';

/** A history as Temporal writes it in JSON. */
export interface HistoryJson {
  events: { eventId: string; eventType: string; [attributes: string]: unknown }[];
}

/** The histories of test/histories. */
export function historyNames(): readonly string[] {
  return readdirSync(join(__dirname, '..', '..', 'histories'))
    .filter((file) => file.endsWith('.json'))
    .map((file) => basename(file, '.json'));
}

/** The text of a history of test/histories. */
export function historyPath(name: string): string {
  return join(__dirname, '..', '..', 'histories', `${name}.json`);
}

/** A history of test/histories, to be read or changed. */
export function historyOf(name: string): HistoryJson {
  return JSON.parse(readFileSync(historyPath(name), 'utf8')) as HistoryJson;
}

/** A copy of a history whose windows bear the verdicts that today's rules give. */
export function judgedToday(history: HistoryJson): HistoryJson {
  const windows = readMigration(history).windows.map(
    (window) => [JSON.stringify(window.result), window] as const,
  );
  const byText = new Map(windows);
  return withPayloads(history, (text) => {
    const window = byText.get(text);
    return window === undefined ? text : JSON.stringify({ ...window.result, verdict: judgeAgain(window) });
  });
}

/** A copy of a history in which the text that payloads hold is changed. */
export function withPayloads(history: HistoryJson, change: (text: string) => string): HistoryJson {
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== 'object' || value === null) return value;
    const fields = Object.entries(value).map(([key, field]) => {
      if (key !== 'data' || typeof field !== 'string') return [key, visit(field)];
      const text = change(Buffer.from(field, 'base64').toString('utf8'));
      return [key, Buffer.from(text).toString('base64')];
    });
    return Object.fromEntries(fields);
  };
  return visit(history) as HistoryJson;
}
