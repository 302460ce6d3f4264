import { verifyExport, withoutSeal } from '../../src/core/record/record-chain';
import type { RecordEntry } from '../../src/core/record/record-entry';
import { readExportedRecord } from '../../src/history/exported-record';
import { readMigration } from '../../src/history/recorded-migration';
import type { ReportedMigration } from '../../src/history/reported-migration';
import { renderReport } from '../../src/history/write-report';
import { exportOf, sealedText } from '../support/migrations/recorded-export';
import { historyOf } from '../support/migrations/recorded-history';

const MADE_AT_MS = Date.UTC(2027, 10, 23, 12);
const EXPORTED_AT = '2026-01-06 00:00:00';

function reportedOf(
  name: string,
  change: (entries: readonly RecordEntry[]) => readonly RecordEntry[] = (entries) => entries,
): ReportedMigration {
  const exported = exportOf(name);
  const text = sealedText(exported, change(exported.entries));
  const verdict = verifyExport(text);
  if (!verdict.ok) throw new Error(`expected a record that verifies: ${verdict.problem}`);
  return readExportedRecord(text, verdict);
}

/** Of a Markdown report, the lines of one section. */
function sectionOf(markdown: string, title: string): string {
  return markdown.split(/^#+ /m).find((section) => section.startsWith(title)) ?? '';
}

describe.each(['harm-2', 'operator', 'revision-3-governed', 'revision-3-confirmed'])(
  'the record of %s',
  (name) => {
    const ofHistory = renderReport(readMigration(historyOf(name)), MADE_AT_MS).markdown;
    const ofRecord = renderReport(reportedOf(name), MADE_AT_MS).markdown;

    it.each(['Verdicts', 'Who did what', 'Effects', 'The plan'])(
      'is reported as its history is: %s',
      (title) => {
        expect(sectionOf(ofRecord, title)).not.toBe('');
        expect(sectionOf(ofRecord, title)).toBe(sectionOf(ofHistory, title));
      },
    );

    it('is reported with the same checkpoints under the same record hash', () => {
      const [listed, known] = [ofRecord, ofHistory].map((text) => sectionOf(text, 'Checkpoints'));
      expect(listed).toContain('Taken from an exported record.');
      expect(listed?.replace('an exported record', 'its history, retraced')).toBe(known);
    });

    it('is reported with each change of routing, who confirmed it and when', () => {
      const { changes, checkpoints } = reportedOf(name);
      const took = checkpoints.list.filter(({ kind }) => kind === 'took effect');
      expect(changes.flatMap(({ confirmedAtMs }) => confirmedAtMs ?? [])).toEqual(
        took.map(({ atMs }) => atMs),
      );
      const last = readMigration(historyOf(name)).changes.at(-1);
      expect(changes.at(-1)).toMatchObject({
        share: last?.share,
        epoch: last?.epoch,
        confirmed: last?.confirmed,
      });
    });
  },
);

it('says where the report comes from, with the head of the record, and what a record does not hold', () => {
  const exported = exportOf('harm-2');
  const verdict = verifyExport(sealedText(exported, exported.entries));
  const { markdown } = renderReport(reportedOf('harm-2'), MADE_AT_MS);
  expect(markdown).toContain(`its head is ${verdict.ok ? verdict.head : ''}`);
  expect(markdown).toContain("does not contain the assessment's findings");
  expect(sectionOf(markdown, 'Assessment')).toBe('');
});

it('says of a migration that was open when it was exported how it stood then', () => {
  const open = reportedOf('harm-2', (entries) => entries.filter((entry) => !('end' in entry)));
  const { markdown } = renderReport(open, MADE_AT_MS);
  expect(markdown).toContain(`still open at ${EXPORTED_AT}`);
});

it('says that the first runs are missing, and what share their windows had is not invented', () => {
  const { entries } = exportOf('harm-2');
  const checkpoints = entries.filter((entry) => 'checkpoint' in entry);
  const cut = checkpoints.length - 1;
  const archived = { count: cut, head: 'a'.repeat(64) };
  const rest = reportedOf('harm-2', () =>
    entries.flatMap((entry): RecordEntry[] => {
      if ('checkpoint' in entry) return entry.checkpoint.seq > cut ? [entry] : [];
      return 'start' in entry ? [{ start: { ...entry.start, archived } }] : [entry];
    }),
  );
  expect(rest).toMatchObject({ fromTheStart: false, checkpoints: { archived } });
  const { markdown } = renderReport(rest, MADE_AT_MS);
  expect(markdown).toContain('at an unknown share');
  expect(markdown).toContain(`The ${cut} before them are in runs that are not here`);
});

interface Spoiled {
  readonly without: string;
  readonly change: (entry: RecordEntry) => RecordEntry[];
  readonly problem: string;
}

it.each<Spoiled>([
  {
    without: 'a start',
    change: (entry) => ('start' in entry ? [] : [entry]),
    problem: 'how its migration was started',
  },
  {
    without: 'numbers in a verdict',
    change: (entry) =>
      'verdict' in entry
        ? [{ verdict: { ...entry.verdict, verdict: { outcome: 'pass' } as never } }]
        : [entry],
    problem: 'expected verdicts with their metrics',
  },
])('refuses a record without $without, even where its hashes fit', ({ change, problem }) => {
  const withoutSeals = (entry: RecordEntry): RecordEntry =>
    'checkpoint' in entry ? { checkpoint: withoutSeal(entry.checkpoint) } : entry;
  expect(() => reportedOf('harm-2', (entries) => entries.flatMap(change).map(withoutSeals))).toThrow(problem);
});
