import { InvalidTemporalConfiguration } from './configured-address';
import { findGo } from './go-build';
import { LOCAL_STEPS, type SearchOptions, type StepFinding, type TemporalSource } from './temporal-source';

/** What `findTemporal` would come to, and what each of its steps found, without a download or a build. */
export interface TemporalInspection {
  readonly would:
    | TemporalSource
    | { readonly kind: 'make'; readonly by: 'download' | 'download or go' }
    | { readonly kind: 'refuse'; readonly reason: string };
  readonly steps: readonly { readonly step: string; readonly ok: boolean; readonly detail: string }[];
}

/** Looks at every step of the search for Temporal and changes nothing; for `cutover doctor`. */
export async function inspectTemporal(options: SearchOptions): Promise<TemporalInspection> {
  const search = { ...options, signal: options.signal ?? new AbortController().signal };
  let would: TemporalInspection['would'] | undefined;
  const steps: { step: string; ok: boolean; detail: string }[] = [];
  for (const step of LOCAL_STEPS) {
    try {
      const finding = await step.look(search);
      if (finding.outcome === 'found') would ??= finding.source;
      steps.push({ step: step.name, ok: finding.outcome === 'found', detail: describe(finding) });
    } catch (error) {
      if (!(error instanceof InvalidTemporalConfiguration)) throw error;
      would ??= { kind: 'refuse', reason: error.message };
      steps.push({ step: step.name, ok: false, detail: error.message });
    }
  }
  const go = await findGo(search.env, search.signal);
  steps.push({
    step: 'download',
    ok: true,
    detail: 'tried when nothing above is found; needs Internet access',
  });
  steps.push({
    step: 'go',
    ok: go.ok,
    detail: go.ok ? `${go.version} would build it when the download fails` : go.reason,
  });
  return { would: would ?? { kind: 'make', by: go.ok ? 'download or go' : 'download' }, steps };
}

function describe(finding: StepFinding): string {
  if (finding.outcome !== 'found') return finding.reason;
  const { source } = finding;
  return source.kind === 'address'
    ? `${source.address}, namespace ${source.namespace}, by ${source.foundBy}`
    : `${source.path}, version ${source.version}`;
}
