import { z } from 'zod';
import { asParts, GUARDRAIL_WEIGHTS } from '../../gates/alpha-spending';

const alpha = z
  .number()
  .gt(0, 'expected a chance above 0 and at most 0.5')
  .max(0.5, 'expected a chance above 0 and at most 0.5');

const weight = z
  .number()
  .gt(0, 'expected a weight above 0 and below 1')
  .lt(1, 'expected a weight above 0 and below 1');
const weights = z
  .strictObject({
    errors: weight.default(GUARDRAIL_WEIGHTS.errors).describe('The ratio of errors.'),
    latency: weight.default(GUARDRAIL_WEIGHTS.latency).describe('All latencies together.'),
    tail: weight.default(GUARDRAIL_WEIGHTS.tail).describe('All far tails of latencies together.'),
    leavers: weight.default(GUARDRAIL_WEIGHTS.leavers).describe('Callers who left.'),
    floor: weight.default(GUARDRAIL_WEIGHTS.floor).describe('The floor of success.'),
    answers: weight.default(GUARDRAIL_WEIGHTS.answers).describe('Answers that break their contract.'),
  })
  .transform(asParts);

/** The chances of errors that a plan allows. */
export const alphaSchema = z.strictObject({
  rollback: alpha.default(0.05).describe('Chance of a false rollback in a migration, at the margins.'),
  promotion: alpha.default(0.05).describe('Chance of a false promotion in a stage, for each goal.'),
  weights: weights
    .prefault({})
    .describe(
      "How the chance of a false rollback is divided over guardrails: each gets its weight's part of the sum.",
    ),
});
