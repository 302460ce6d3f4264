import { z } from 'zod';
import { DAY_MS } from '../../core/text/duration';

const headerKeySchema = z.templateLiteral(['header:', z.string().min(1).max(200)]);

/** Every epoch up to it, and thousands of years of further ones, has a successor that is another number. */
const MAX_EPOCH = 2 ** 52;

/** An epoch, or with 0 none yet. */
export const epochSchema = z.int().min(0).max(MAX_EPOCH);

/** A routing record as it arrives over the admin listener or from the disk. */
export const routingRecordSchema = z.strictObject({
  migrationId: z.string().min(1).max(200),
  stage: z.string().min(1).max(100),
  epoch: epochSchema.min(1),
  share: z.number().min(0).max(1),
  salt: z.string().min(1).max(200),
  stickyKey: z.union([z.literal('body'), z.literal('none'), headerKeySchema]),
  leaseMs: z.int().min(1).max(DAY_MS),
  pinned: z.boolean(),
  newConversationsOnly: z.boolean(),
  shadow: z.number().min(0).max(1),
  shadowUsd: z.number().min(0).optional(),
  judge: z
    .strictObject({
      provider: z.string().min(1).max(100),
      model: z.string().min(1).max(200),
      rubric: z.string().min(1).max(2_000).optional(),
      sample: z.number().min(0).max(1),
      usd: z.number().min(0),
    })
    .optional(),
  only: z
    .union([
      z.strictObject({ teams: z.array(z.string().min(1).max(100)).min(1).max(100) }),
      z.strictObject({
        header: z.string().min(1).max(100),
        values: z.array(z.string().min(1).max(100)).min(1).max(100),
      }),
    ])
    .optional(),
});

/** A kill latch as it is kept on the disk. */
export const killLatchSchema = z.strictObject({ by: z.string(), reason: z.string(), at: z.string() });

const incarnationSchema = z.string().min(1).max(100);

/** Body of `PUT /admin/v1/routes/ROUTE`. */
export const pushRequestSchema = z.strictObject({
  expected: z.strictObject({ incarnation: incarnationSchema, epoch: epochSchema }),
  asOfMs: z.number().min(0),
  record: routingRecordSchema,
  inFlight: z.enum(['drain', 'cut']),
});

/** Body of `POST /admin/v1/routes/ROUTE/lease`. */
export const renewRequestSchema = z.strictObject({
  incarnation: incarnationSchema,
  asOfMs: z.number().min(0),
  epoch: epochSchema.min(1),
});

/** Body of `POST` and `DELETE /admin/v1/routes/ROUTE/kill`; may be empty: a hurried curl must do. */
export const killRequestSchema = z.strictObject({
  by: z.string().max(200).default('unknown'),
  reason: z.string().max(1_000).default(''),
});
