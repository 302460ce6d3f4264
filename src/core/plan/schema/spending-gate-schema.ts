import { z } from 'zod';
import type { SpendingGate } from '../spending-gate';

const increase = z.number().gt(0, 'expected an increase above 0, such as 0.5 for +50%');

const fields = {
  rollbackIncrease: increase
    .default(0.5)
    .describe("Roll back when the candidate's quantile is more than this part above legacy's."),
  promotionIncrease: increase
    .nullable()
    .default(0.2)
    .describe('Promote when it is at most this part above; null: not judged.'),
  quantile: z
    .union([z.literal(0.5), z.literal(0.95)], 'expected 0.5 or 0.95')
    .default(0.95)
    .describe('Which quantile is judged: 0.95, or 0.5, which takes fewer requests.'),
};

/** `gates.cost` of a stage. */
export const costGateSchema = z.strictObject(fields) satisfies z.ZodType<SpendingGate>;

/** `gates.outputTokens` of a stage. */
export const outputTokensGateSchema = z.strictObject({
  ...fields,
  ignoreBelowTokens: z
    .number()
    .min(0, 'expected 0 or more tokens')
    .default(10)
    .describe(
      'A difference of fewer tokens is neither harm nor an obstacle, however large it is relatively.',
    ),
}) satisfies z.ZodType<SpendingGate>;
