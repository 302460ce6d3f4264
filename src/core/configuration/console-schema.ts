import { z } from 'zod';
import { durationSchema, httpUrlSchema, referenceSchema } from './schema-parts';

const ADDRESSES = [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()];

const addressSchema = z.string().refine((text) => ADDRESSES.some((each) => each.safeParse(text).success), {
  message: 'expected an IP address or a range such as 10.0.0.0/8',
});

const oidcSchema = z.strictObject({
  issuer: httpUrlSchema.describe('As the provider names itself; over plain HTTP on loopback only.'),
  clientId: z.string().min(1).describe('The id under which the provider knows this console.'),
  clientSecret: referenceSchema.optional().describe('Absent for a public client: PKCE is used in any case.'),
  url: httpUrlSchema
    .optional()
    .describe(
      'Where browsers reach the console, such as https://cutover.example.com; the provider returns to /callback there. The address it listens on when absent.',
    ),
  scope: z.string().default('openid email').describe('The scopes requested from the provider.'),
  claim: z
    .string()
    .min(1)
    .default('email')
    .describe('The claim that names a person, from the ID token or else from the user info.'),
  session: durationSchema('8h', 'How long a login holds.'),
});

const identitySchema = z
  .strictObject({
    header: z
      .string()
      .regex(/^[a-z0-9-]{1,100}$/, 'expected a header name in lower case, such as x-forwarded-user')
      .optional()
      .describe('Header in which an authenticating proxy names the person.'),
    trusted: z
      .array(addressSchema)
      .min(1)
      .optional()
      .describe('Addresses of that proxy: connections from anywhere else are refused.'),
    oidc: oidcSchema.optional().describe('OpenID Connect: authorization code with PKCE.'),
  })
  .refine(({ header, oidc }) => (header === undefined) !== (oidc === undefined), {
    message: 'expected header with trusted, or oidc',
  })
  .refine(({ header, trusted }) => (header === undefined) === (trusted === undefined), {
    path: ['trusted'],
    message: 'expected the addresses of the proxy together with `header`, and only then',
  });

const personSchema = z.string().min(1).max(200);

/** Who may use the page of `cutover ui`; without it, whoever has the token that it prints. */
export const consoleSchema = z.strictObject({
  identity: identitySchema.describe('Where a person’s name comes from.'),
  roles: z
    .strictObject({
      operators: z.array(personSchema).default([]).describe('May give commands.'),
      viewers: z.array(personSchema).default([]).describe('May look; "*" means everybody who is logged in.'),
    })
    .refine(({ operators, viewers }) => operators.length + viewers.length > 0, {
      message: 'expected at least one operator or viewer: nobody else is let in',
    })
    .describe('Names exactly as the header or claim has them.'),
});

export type ConsoleConfiguration = z.output<typeof consoleSchema>;
