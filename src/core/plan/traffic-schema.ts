import { z } from 'zod';
import { parseDocument } from '../configuration/schema-parts';
import type { Evidence } from '../evidence/evidence';
import { latencyShape } from '../rehearsal/rehearsal';
import { TRAFFIC_KINDS } from '../rehearsal/rehearsal-scenario';
import { GAMMA, type Histogram } from '../statistics/histogram';
import { ASSUMED_TRAFFIC, type Traffic, trafficOf } from './traffic';

const count = z.number().min(0, 'expected a count of 0 or more: counters only grow');
const rate = z.number().min(0, 'expected a rate from 0 to 1').lt(1, 'expected a rate below 1');

const histogramSchema = z
  .object({
    zero: count.default(0),
    buckets: z.array(z.tuple([z.int(), count])),
    gamma: z
      .number()
      .refine(
        (gamma) => Math.abs(gamma / GAMMA - 1) < 1e-9,
        `expected a histogram of gamma ${GAMMA} (buckets half a percent wide), as gateways and assess write it`,
      )
      .optional(),
  })
  .transform(
    ({ zero, buckets }): Histogram => ({
      zero,
      buckets: [...buckets].filter(([, held]) => held > 0).sort((a, b) => a[0] - b[0]),
    }),
  );

const quantilesSchema = z
  .strictObject({ p50Ms: z.number().gt(0), p95Ms: z.number().gt(0) })
  .refine(({ p50Ms, p95Ms }) => p95Ms > p50Ms, 'expected p95Ms above p50Ms')
  .transform(({ p50Ms, p95Ms }) => latencyShape(p50Ms, p95Ms));

/** A histogram, or its median and p95; which is meant shows in its fields. */
const latencySchema = z.looseObject({}).transform((value, context): Histogram => {
  const result = ('p50Ms' in value ? quantilesSchema : histogramSchema).safeParse(value);
  if (result.success) return result.data;
  for (const { path, message } of result.error.issues) context.addIssue({ code: 'custom', path, message });
  return z.NEVER;
});

const part = z
  .number()
  .gt(0, 'expected a part of the requests above 0 and at most 1')
  .max(1, 'expected a part of the requests above 0 and at most 1');
const MODELS_MOST = 10;

const modelsSchema = z
  .record(z.string(), part)
  .superRefine((models, context) => {
    const parts = Object.values(models);
    const sum = parts.reduce((total, each) => total + each, 0);
    if (parts.length > MODELS_MOST) {
      const message = `expected at most ${MODELS_MOST} models, got ${parts.length}`;
      context.addIssue({ code: 'custom', message });
    } else if (Math.abs(sum - 1) > 1e-6) {
      const message = `expected parts of the requests that add up to 1, got ${Number(sum.toPrecision(6))}`;
      context.addIssue({ code: 'custom', message });
    }
  })
  .transform((models) => Object.values(models));

/** Written by hand. */
const ownSchema = z.strictObject({
  requestsPerDay: z.number().gt(0, 'expected a number above 0').optional(),
  failureRate: rate.optional(),
  breachRate: rate.optional(),
  streamShare: z
    .number()
    .min(0, 'expected a part of the requests from 0 to 1')
    .max(1, 'expected a part of the requests from 0 to 1')
    .optional(),
  kind: z.enum(TRAFFIC_KINDS, `expected one of ${TRAFFIC_KINDS.join(', ')}`).optional(),
  models: modelsSchema.optional(),
  totalMs: latencySchema.optional(),
  firstTokenMs: latencySchema.optional(),
});

const distribution = z.object({ histogram: histogramSchema }).nullable();

/** What `cutover assess --json` prints, as far as it is needed here. */
const assessSchema = z.object({
  usage: z.object({
    window: z.object({ days: z.number().gt(0, 'expected a number above 0') }),
    totals: z.object({ calls: count.nullable(), failed: count.nullable() }),
    features: z.array(z.object({ feature: z.string(), calls: count.nullable() })).default([]),
    latencyMs: distribution,
    firstTokenMs: distribution,
  }),
});

const cellSchema = z.looseObject({
  side: z.enum(['legacy', 'candidate']),
  kind: z.string(),
  shape: z.enum(['stream', 'plain']),
  model: z.string(),
  attempts: count,
  successes: count,
  failures: z.record(z.string(), count),
  aborted: count,
  totalMs: histogramSchema,
  firstTokenMs: histogramSchema,
  interTokenMs: histogramSchema,
  answers: z
    .object({ checked: count, unchecked: count, breaches: z.record(z.string(), count) })
    .transform((answers) => ({ ...answers, ends: {} }))
    .optional(),
});

/** A gateway's evidence: its admin answer, or the evidence alone. */
const evidenceSchema = z.looseObject({
  epoch: z.int().min(0),
  cells: z.array(cellSchema),
});

/**
 * Traffic as a document tells it: an assess report, a gateway's evidence, or written by hand. What it does not say is
 * taken from `otherwise`. Throws `InvalidDocument`.
 */
export function readTraffic(value: unknown, document: string, otherwise: Traffic = ASSUMED_TRAFFIC): Traffic {
  const fields = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  if ('usage' in fields)
    return ofAssessment(parseDocument(assessSchema, value, document), document, otherwise);
  const evidence = 'evidence' in fields ? fields['evidence'] : value;
  if ('evidence' in fields || 'cells' in fields) {
    const read = parseDocument(evidenceSchema, evidence, document) as unknown as Evidence;
    return trafficOf(read, otherwise.requestsPerDay, otherwise, document);
  }
  const own = parseDocument(ownSchema, value, document);
  return {
    source: document,
    requestsPerDay: own.requestsPerDay ?? otherwise.requestsPerDay,
    failureRate: own.failureRate ?? otherwise.failureRate,
    ...breachRateOf(own.breachRate ?? otherwise.breachRate),
    streamShare: own.streamShare ?? otherwise.streamShare,
    ...(own.kind === undefined ? {} : { kind: own.kind }),
    ...(own.models === undefined ? {} : { models: own.models }),
    totalMs: own.totalMs ?? otherwise.totalMs,
    firstTokenMs: own.firstTokenMs ?? otherwise.firstTokenMs,
  };
}

function breachRateOf(breachRate: number | undefined): Pick<Traffic, 'breachRate'> {
  return breachRate === undefined ? {} : { breachRate };
}

function ofAssessment({ usage }: z.output<typeof assessSchema>, source: string, otherwise: Traffic): Traffic {
  const { calls, failed } = usage.totals;
  const partOf = (some: number | null) =>
    some === null || calls === null || calls === 0 ? null : some / calls;
  const streamed = usage.features.find(({ feature }) => feature === 'streaming')?.calls ?? null;
  const shape = (read: z.output<typeof distribution>, assumed: Histogram) =>
    read === null || read.histogram.buckets.length === 0 ? assumed : read.histogram;
  return {
    source,
    requestsPerDay: calls === null ? otherwise.requestsPerDay : calls / usage.window.days,
    failureRate: partOf(failed) ?? otherwise.failureRate,
    streamShare: partOf(streamed) ?? otherwise.streamShare,
    totalMs: shape(usage.latencyMs, otherwise.totalMs),
    firstTokenMs: shape(usage.firstTokenMs, otherwise.firstTokenMs),
  };
}
