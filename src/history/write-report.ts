import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportHtml } from '../report/report-html';
import { reportMarkdown } from '../report/report-markdown';
import { migrationReport } from './migration-report';
import type { ReportedMigration } from './reported-migration';

/** A report in both formats. */
export interface WrittenReport {
  readonly html: string;
  readonly markdown: string;
}

/** The report of a migration as texts; `madeAtMs` is when it was made. */
export function renderReport(migration: ReportedMigration, madeAtMs: number): WrittenReport {
  const report = migrationReport(migration, madeAtMs);
  return { html: reportHtml(report, new Date(madeAtMs).toISOString()), markdown: reportMarkdown(report) };
}

/**
 * Writes MIGRATION.html and MIGRATION.md into a folder, which is made where there is none, and returns their
 * paths. Whole files replace older ones, so that a retried write does no harm.
 */
export function writeReport(migration: ReportedMigration, folder: string, madeAtMs: number): WrittenReport {
  const { html, markdown } = renderReport(migration, madeAtMs);
  mkdirSync(folder, { recursive: true });
  // A migration's id is its route and random digits; whatever else stands in a history is no path.
  const name = migration.migrationId.replace(/[^a-z0-9._-]/gi, '_').slice(0, 120);
  const paths = { html: join(folder, `${name}.html`), markdown: join(folder, `${name}.md`) };
  replaceFile(paths.html, html);
  replaceFile(paths.markdown, markdown);
  return paths;
}

/** Whoever looks at the folder meanwhile sees the older file or the new one. */
export function replaceFile(path: string, text: string): void {
  const draft = `${path}.${process.pid}.part`;
  writeFileSync(draft, text);
  renameSync(draft, path);
}
