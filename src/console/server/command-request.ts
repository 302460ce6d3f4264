import { z } from 'zod';
import { COMMAND_NAMES, type CommandName } from '../../client';

/** Given by the page, so that it can follow the command whatever becomes of this request. */
const commandIdSchema = z
  .string()
  .regex(/^[0-9a-zA-Z-]{8,64}$/, 'expected 8 to 64 letters, digits and dashes');
const reasonSchema = z.string().max(1_000);

const commandRequestSchema = z.strictObject({
  name: z.enum(COMMAND_NAMES as unknown as readonly [CommandName, ...CommandName[]]),
  commandId: commandIdSchema,
  label: z.string().max(80),
  reason: reasonSchema,
  payload: z.record(z.string().max(40), z.union([z.string().max(200), z.number(), z.boolean()])),
});

/** The text of a plan: without `give` it asks what would change, with it the plan is amended. */
const amendmentRequestSchema = z.strictObject({
  text: z.string(),
  give: z
    .strictObject({ commandId: commandIdSchema, reason: reasonSchema, digest: z.string().max(100) })
    .optional(),
});

/** What the page sends to give a command. */
export type CommandRequest = z.infer<typeof commandRequestSchema>;

/** The request, or what is wrong with it. */
export function readCommandRequest(body: unknown): CommandRequest | { readonly problem: string } {
  return read(commandRequestSchema, body);
}

/** What the page sends to see what another plan changes, and to amend by it. */
export type AmendmentRequest = z.infer<typeof amendmentRequestSchema>;

/** The request, or what is wrong with it. */
export function readAmendmentRequest(body: unknown): AmendmentRequest | { readonly problem: string } {
  return read(amendmentRequestSchema, body);
}

function read<Request>(schema: z.ZodType<Request>, body: unknown): Request | { readonly problem: string } {
  const parsed = schema.safeParse(body);
  return parsed.success ? parsed.data : { problem: z.prettifyError(parsed.error).slice(0, 1_000) };
}
