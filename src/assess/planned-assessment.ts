import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UsageFindings } from '../core/assessment/usage-digest';
import { BadInput } from '../core/configuration/bad-input';
import type { Configuration, ProviderConfiguration } from '../core/configuration/configuration-schema';
import { InvalidDocument } from '../core/configuration/schema-parts';
import type { AssessPlan } from '../core/plan/assess-plan';
import type { MigrationEffort } from '../core/plan/migration-effort';
import { reportHtml } from '../report/report-html';
import { type AssessmentPorts, type AssessmentRequest, assessUsage } from './assess-usage';
import { type AssessmentReport, findingsOf } from './assessment-report';
import { assessmentDocument } from './assessment-sections';
import type { TokenRatios } from './cost-projection';
import { measuredTokenRatios } from './parity-token-ratios';
import { configuredPrices } from './prices/configured-prices';
import { parsePriceBook } from './prices/price-book-schema';
import { PriceFinder } from './prices/price-finder';
import type { ProviderInquiry } from './readiness';
import { UnreadableUsage } from './usage/files/content-kind';
import { parseMapping } from './usage/formats/mapping-schema';

/** What the assessment of a plan needs of the machine that it runs on. */
export interface PlannedAssessmentPorts extends Omit<AssessmentPorts, 'finder' | 'inquiry'> {
  readonly configuration: Configuration;
  /** Throws `UnresolvedSecret`. */
  readonly inquire: (provider: ProviderConfiguration) => ProviderInquiry;
  readonly readDocument: (path: string) => unknown;
  /** What the migration itself sends; null when it is not known. */
  readonly effort: MigrationEffort | null;
}

/**
 * The assessment that a plan asks for, as the command would make it. Logs, mappings or prices that cannot be used
 * are a doubt, since a person can mend them while the migration waits. Throws `UnresolvedSecret`.
 */
export async function assessAsPlanned(
  route: string,
  plan: AssessPlan,
  ports: PlannedAssessmentPorts,
): Promise<UsageFindings> {
  try {
    const { request, finder, inquiry } = plannedAssessment(route, plan, ports);
    const report = await assessUsage(request, { ...ports, finder, inquiry });
    if (plan.report !== null) await writeReport(plan.report, route, report);
    return findingsOf(report);
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    return { digest: null, findings: [{ kind: 'doubt', text: `usage: ${reasonOf(error)}`.slice(0, 500) }] };
  }
}

/** What a plan wants assessed, and whom it asks. Throws as its documents do, and `UnresolvedSecret`. */
export function plannedAssessment(
  route: string,
  plan: AssessPlan,
  ports: PlannedAssessmentPorts,
): { readonly request: AssessmentRequest } & Pick<AssessmentPorts, 'finder' | 'inquiry'> {
  return {
    request: requestOf(route, plan, ports),
    finder: finderOf(plan, ports),
    inquiry: plan.ask ? inquiryOf(route, ports) : null,
  };
}

/** The first line says what is wrong; those below it may show rows, which have no place in a history. */
function reasonOf(error: Error): string {
  if (!(error instanceof InvalidDocument)) return error.message.split('\n')[0] ?? '';
  const [first] = error.problems;
  return `${error.document}: ${first?.path} ${first?.message}`;
}

function requestOf(
  route: string,
  plan: AssessPlan,
  { configuration, readDocument, effort }: PlannedAssessmentPorts,
): AssessmentRequest {
  const { legacy, candidate, models, shadow, replayBudget } = routeOf(route, configuration);
  const { p50Ms, errorRate, savingPercent } = plan.targets;
  return {
    route,
    files: plan.usage,
    load: {
      mappings: plan.mappings.map((path) => parseMapping(readDocument(path), path)),
      maxRejectShare: plan.rejectedRowsMost,
      ...(plan.format === null ? {} : { format: plan.format }),
    },
    window: { fromMs: null, toMs: null, days: plan.windowDays },
    legacyProvider: legacy,
    candidate: {
      provider: candidate,
      modelMapping: new Map(Object.entries(models).map(([model, mapped]) => [model, mapped.candidate])),
      tokenRatios: ratiosOf(plan, readDocument),
    },
    warmUpDays: plan.warmUpDays,
    migration: effort === null ? null : { effort, shadow, replayBudget: replayBudget.ratio },
    readiness: {
      contextLengths: new Map(Object.entries(plan.contextLengths)),
      rateLimits: plan.limits,
      measuredP50Ms: null,
      attestations: plan.attestations,
      demands: {
        ...plan.checklist,
        ...(p50Ms === null ? {} : { maxP50Ms: p50Ms }),
        ...(errorRate === null ? {} : { maxErrorRate: errorRate }),
        ...(savingPercent === null ? {} : { minSavingPercent: savingPercent }),
      },
    },
  };
}

function ratiosOf(
  { tokenizerRatio, parityReport }: AssessPlan,
  readDocument: PlannedAssessmentPorts['readDocument'],
): TokenRatios | null {
  if (parityReport != null) return measuredTokenRatios(readDocument(parityReport), parityReport);
  return tokenizerRatio === null ? null : { input: tokenizerRatio, output: tokenizerRatio };
}

function finderOf(
  plan: AssessPlan,
  { configuration, readDocument, now }: PlannedAssessmentPorts,
): PriceFinder {
  return new PriceFinder([
    ...plan.prices.map((path) => parsePriceBook(readDocument(path), path)),
    configuredPrices(configuration.providers, now.toISOString().slice(0, 10)),
  ]);
}

function inquiryOf(route: string, { configuration, inquire }: PlannedAssessmentPorts) {
  const provider = configuration.providers[routeOf(route, configuration).candidate];
  return provider === undefined ? null : inquire(provider);
}

function routeOf(name: string, configuration: Configuration): Configuration['routes'][string] {
  const route = Object.hasOwn(configuration.routes, name) ? configuration.routes[name] : undefined;
  if (route !== undefined) return route;
  throw new InvalidDocument('the configuration', [
    {
      path: 'routes',
      message: `expected a route "${name}", got only ${Object.keys(configuration.routes).join(', ')}`,
    },
  ]);
}

async function writeReport(folder: string, route: string, report: AssessmentReport): Promise<void> {
  const name = join(folder, `assessment-${route}`);
  const page = reportHtml(assessmentDocument(report), report.madeAt);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(`${name}.json`, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
    await writeFile(`${name}.html`, page, { mode: 0o600 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new UnreadableUsage(`the report cannot be written to ${folder} (${code ?? 'unknown failure'})`, {
      cause,
    });
  }
}
