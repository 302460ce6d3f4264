import { z } from 'zod';
import { BadInput } from '../../../core/configuration/bad-input';
import type { RecordedCost } from '../files/usage-source';
import type { NormalizedBucket } from './normalized-bucket';

const tokens = z.int().nonnegative().nullish();

const usageResultSchema = z.looseObject({
  object: z.string().startsWith('organization.usage.'),
  input_tokens: tokens,
  input_cached_tokens: tokens,
  output_tokens: tokens,
  num_model_requests: tokens,
  model: z.string().nullish(),
  project_id: z.string().nullish(),
  api_key_id: z.string().nullish(),
  batch: z.boolean().nullish(),
  service_tier: z.string().nullish(),
});

const costResultSchema = z.looseObject({
  object: z.literal('organization.costs.result'),
  amount: z.object({ value: z.number(), currency: z.string() }),
  line_item: z.string().nullish(),
});

const bucketSchema = z.looseObject({
  object: z.literal('bucket'),
  start_time: z.int().positive(),
  end_time: z.int().positive(),
  results: z.array(z.unknown()),
});

/** A page of the usage or costs endpoint. */
export const openAiPageSchema = z.looseObject({
  object: z.literal('page'),
  data: z.array(bucketSchema),
  has_more: z.boolean().optional(),
  next_page: z.string().nullish(),
});

/**
 * Buckets and costs of one or several pages, in any of the shapes people save: a page, a list of pages or buckets.
 * Throws `BadInput` for a document that is none, naming the bucket that does not fit.
 */
export function readOpenAiUsage(
  document: unknown,
  name: string,
): { buckets: NormalizedBucket[]; costs: RecordedCost[]; grouped: boolean; cached: boolean } {
  const buckets: NormalizedBucket[] = [];
  const costs: RecordedCost[] = [];
  const seen = { grouped: false, cached: false };
  for (const bucket of bucketsOf(document, name)) {
    const startMs = bucket.start_time * 1000;
    const endMs = bucket.end_time * 1000;
    for (const result of bucket.results) {
      const cost = costResultSchema.safeParse(result);
      if (cost.success) {
        const { amount, line_item: item } = cost.data;
        costs.push({
          startMs,
          endMs,
          amount: amount.value,
          currency: amount.currency.toUpperCase(),
          item: item ?? '',
        });
        continue;
      }
      const usage = usageResultSchema.safeParse(result);
      if (!usage.success) {
        throw new BadInput(
          `${name}: a result of the bucket that starts at ${new Date(startMs).toISOString()} is neither usage nor costs: ${z.prettifyError(usage.error)}`,
        );
      }
      const { data } = usage;
      seen.grouped ||= typeof data.model === 'string';
      seen.cached ||= typeof data.input_cached_tokens === 'number';
      buckets.push({
        startMs,
        endMs,
        calls: data.num_model_requests ?? null,
        model: data.model ?? null,
        caller: data.project_id ?? data.api_key_id ?? null,
        inputTokens: data.input_tokens ?? null,
        cachedTokens: data.input_cached_tokens ?? null,
        outputTokens: data.output_tokens ?? 0,
        embeddings: data.object.startsWith('organization.usage.embeddings.'),
        serviceTier: data.batch === true ? 'batch' : (data.service_tier ?? null),
      });
    }
  }
  if (buckets.length > 0 && !seen.grouped) {
    throw new BadInput(
      `${name} does not say which model was used; ask for it with group_by=model (and group_by=project_id)`,
    );
  }
  return { buckets, costs, ...seen };
}

function bucketsOf(document: unknown, name: string): z.infer<typeof bucketSchema>[] {
  if (Array.isArray(document)) return document.flatMap((part) => bucketsOf(part, name));
  const page = openAiPageSchema.safeParse(document);
  if (page.success) return page.data.data;
  const bucket = bucketSchema.safeParse(document);
  if (bucket.success) return [bucket.data];
  throw new BadInput(`${name} is not a page of OpenAI's usage or costs: ${z.prettifyError(page.error)}`);
}
