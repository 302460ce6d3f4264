import { z } from 'zod';
import { BadInput } from '../core/configuration/bad-input';
import type { TokenRatios } from './cost-projection';

const ratioSchema = z.looseObject({
  ratio: z.number().positive(),
  least: z.number().positive(),
  most: z.number().positive(),
});

const reportSchema = z.looseObject({
  tokens: z.looseObject({ input: ratioSchema, output: ratioSchema }).nullable(),
});

/**
 * The candidate's tokens for one of legacy's, as a report of `cutover parity --json` measured them; the range is from
 * the least to the most of any stratum. Throws `BadInput` for another document, or where a provider did not count.
 */
export function measuredTokenRatios(document: unknown, name: string): TokenRatios {
  const parsed = reportSchema.safeParse(document);
  if (!parsed.success) {
    throw new BadInput(`${name} is not a report of cutover parity --json: ${z.prettifyError(parsed.error)}`);
  }
  const { tokens } = parsed.data;
  if (tokens === null) throw new BadInput(`${name} has no token ratio: a provider did not count its tokens`);
  const range = ({ ratio, least, most }: z.infer<typeof ratioSchema>) => {
    return { low: Math.min(least, ratio), point: ratio, high: Math.max(most, ratio) };
  };
  return { input: range(tokens.input), output: range(tokens.output) };
}
