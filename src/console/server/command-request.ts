import { z } from 'zod';
import { COMMAND_NAMES, type CommandName } from '../../client';

/** What the page sends to give a command. */
const commandRequestSchema = z.strictObject({
  name: z.enum(COMMAND_NAMES as unknown as readonly [CommandName, ...CommandName[]]),
  /** Given by the page, so that it can follow the command whatever becomes of this request. */
  commandId: z.string().regex(/^[0-9a-zA-Z-]{8,64}$/, 'expected 8 to 64 letters, digits and dashes'),
  label: z.string().max(80),
  reason: z.string().max(1_000),
  payload: z.record(z.string().max(40), z.union([z.string().max(200), z.number(), z.boolean()])),
});

export type CommandRequest = z.infer<typeof commandRequestSchema>;

/** The request, or what is wrong with it. */
export function readCommandRequest(body: unknown): CommandRequest | { readonly problem: string } {
  const read = commandRequestSchema.safeParse(body);
  return read.success ? read.data : { problem: z.prettifyError(read.error).slice(0, 1_000) };
}
