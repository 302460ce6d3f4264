import { z } from 'zod';
import { MissingPrice, type PriceFinder } from './price-finder';

const claimSchema = z.strictObject({
  provider: z.string().min(1),
  title: z.string().min(1),
  baseUrl: z.url().optional(),
  model: z.string().min(1),
  pricePerMillion: z.number().min(0).optional().describe('Claimed price of a million tokens, in dollars.'),
  p50Ms: z.number().positive().optional().describe('Claimed p50.'),
  p50BelowMs: z.number().positive().optional().describe('Claimed upper bound of p50.'),
  fp8: z.string().optional(),
  special: z.string().optional(),
});

/** What providers, or someone about them, claim. */
export const claimsSchema = z.strictObject({
  source: z.string().min(1),
  asOf: z.string().regex(/^\d{4}-\d\d-\d\d$/),
  claims: z.array(claimSchema).min(1),
});

/** What was measured by probes of one's own. */
export const measurementsSchema = z.strictObject({
  measurements: z.array(
    z.strictObject({
      provider: z.string(),
      model: z.string(),
      p50Ms: z.number().positive(),
      count: z.int().positive(),
      at: z.string().describe('When and from where.'),
    }),
  ),
});

export type Claims = z.infer<typeof claimsSchema>;
export type Measurements = z.infer<typeof measurementsSchema>;

/** Fewer probes than this contradict nothing. */
const MIN_PROBES = 30;
/** A claim of a value, not a bound, is contradicted from a quarter above it. */
const TOLERANCE = 1.25;
/** Prices are exact; this is for rounding. */
const PRICE_TOLERANCE = 1.01;

/** One provider's row: claim beside book and measurement. */
export interface ComparedProvider {
  readonly provider: string;
  readonly title: string;
  readonly model: string;
  readonly claimedPrice: number | null;
  /** Dollars a million tokens, input and output at equal parts of the mix asked for; null when no book has it. */
  readonly bookPrice: {
    readonly input: number;
    readonly output: number;
    readonly mixed: number;
    readonly source: string;
    readonly asOf: string;
  } | null;
  readonly claimedP50: { readonly ms: number; readonly bound: boolean } | null;
  readonly measuredP50: { readonly ms: number; readonly count: number; readonly at: string } | null;
  readonly fp8: string | null;
  readonly special: string | null;
  readonly contradictions: readonly string[];
}

/** Sets claims beside what price books and probes say, and names those that the measurement contradicts. */
export function compareProviders(
  claims: Claims,
  measurements: Measurements,
  finder: PriceFinder,
  options: { atMs: number; outputPart: number },
): ComparedProvider[] {
  return claims.claims.map((claim) => {
    const bookPrice = bookPriceOf(finder, claim.provider, claim.model, options);
    const measured = measurements.measurements.find(
      ({ provider, model }) => provider === claim.provider && model === claim.model,
    );
    const claimedP50 =
      claim.p50BelowMs !== undefined
        ? { ms: claim.p50BelowMs, bound: true }
        : claim.p50Ms === undefined
          ? null
          : { ms: claim.p50Ms, bound: false };
    const contradictions: string[] = [];
    if (claimedP50 !== null && measured !== undefined && measured.count >= MIN_PROBES) {
      const limit = claimedP50.bound ? claimedP50.ms : claimedP50.ms * TOLERANCE;
      if (measured.p50Ms > limit) {
        contradictions.push(
          `p50 claimed ${claimedP50.bound ? 'below ' : ''}${claimedP50.ms} ms, measured ${measured.p50Ms} ms over ${measured.count} probes`,
        );
      }
    }
    if (
      claim.pricePerMillion !== undefined &&
      bookPrice !== null &&
      bookPrice.mixed > claim.pricePerMillion * PRICE_TOLERANCE
    ) {
      contradictions.push(
        `price claimed $${claim.pricePerMillion} per million, by the book $${bookPrice.mixed.toFixed(3)} at this mix (${bookPrice.source})`,
      );
    }
    return {
      provider: claim.provider,
      title: claim.title,
      model: claim.model,
      claimedPrice: claim.pricePerMillion ?? null,
      bookPrice,
      claimedP50,
      measuredP50:
        measured === undefined ? null : { ms: measured.p50Ms, count: measured.count, at: measured.at },
      fp8: claim.fp8 ?? null,
      special: claim.special ?? null,
      contradictions,
    };
  });
}

function bookPriceOf(
  finder: PriceFinder,
  provider: string,
  model: string,
  options: { atMs: number; outputPart: number },
): ComparedProvider['bookPrice'] {
  try {
    const { rates, used } = finder.find(provider, model, {
      atMs: options.atMs,
      serviceTier: null,
      contextTokens: 0,
    });
    const { inputPerMillion: input, outputPerMillion: output } = rates;
    const mixed = input * (1 - options.outputPart) + output * options.outputPart;
    return { input, output, mixed, source: used.source, asOf: used.asOf };
  } catch (error) {
    if (error instanceof MissingPrice) return null;
    throw error;
  }
}
