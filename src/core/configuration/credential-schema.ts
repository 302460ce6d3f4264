import { z } from 'zod';
import { durationSchema, durationTextSchema } from './schema-parts';

/** A command that prints a key, and for how long that is valid. */
export const credentialSchema = z.strictObject({
  command: z
    .array(z.string().min(1, 'expected a text'))
    .min(1, 'expected a program and its arguments')
    .describe(
      'Program and arguments, run without a shell. Prints the key alone, or JSON with access_token, accessToken or token and, where it says so, expires_in, expires_on or expiresAt.',
    ),
  lifetime: durationTextSchema
    .refine((ms) => ms >= 1_000, 'expected at least 1s')
    .describe('For how long a key is valid at most. A new one is fetched after two thirds of it.'),
  timeout: durationSchema('10s', 'For one run of the command; then it is killed.', 100),
});

export type CredentialConfiguration = z.output<typeof credentialSchema>;

const CREDENTIAL = 'credential:';

/** The name in a reference such as `credential:entra`; null for references of other kinds. */
export function credentialNameOf(reference: string): string | null {
  return reference.startsWith(CREDENTIAL) ? reference.slice(CREDENTIAL.length) : null;
}
