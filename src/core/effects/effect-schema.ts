import { z } from 'zod';
import {
  durationSchema,
  durationTextSchema,
  httpUrlSchema,
  nameSchema,
  referenceSchema,
} from '../configuration/schema-parts';
import { DAY_MS } from '../text/duration';
import { DNS_TYPES } from './dns-records';
import type { Json } from './effect';
import { jsonTemplateProblems, templateProblem } from './template';

/**
 * Targets of effects: `effects` of the configuration, by name. Each type says how it is reached; what is set there
 * stands in the plan.
 */

/** What may be set on a `flag` beside the common variables. */
const FLAG_VARIABLES = ['flag', 'value'] as const;

const DOMAIN_NAME =
  /^(?=.{1,253}\.?$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$/;

const domainNameSchema = z.string().regex(DOMAIN_NAME, 'expected a domain name such as api.example.com');

const tsigSchema = z.strictObject({
  name: domainNameSchema.describe('Name of the key, as the server knows it.'),
  algorithm: z
    .enum(['hmac-sha256', 'hmac-sha384', 'hmac-sha512'])
    .default('hmac-sha256')
    .describe('The algorithm that the key was made for.'),
  secret: referenceSchema.describe('Where the key is found, in base64 as tsig-keygen prints it.'),
});

const allowPrivateSchema = z
  .boolean()
  .default(false)
  .describe('Whether loopback and private addresses may be connected to. Link-local ones never are.');

/** Of every target that is spoken to over HTTP. */
const HTTP_LIMITS = {
  timeout: durationSchema('10s', 'For one request, from connecting to the end of its answer.', 100),
  allowPrivate: allowPrivateSchema,
  allowHttp: z
    .boolean()
    .default(false)
    .describe('Whether http:// may be used: without TLS anyone on the way can read what is sent.'),
};

const authSchema = z.union([
  z.strictObject({ bearer: referenceSchema.describe('Sent as Authorization: Bearer KEY.') }),
  z.strictObject({
    header: z
      .string()
      .regex(/^[A-Za-z0-9-]+$/)
      .describe('Name of the header that carries the key.'),
    key: referenceSchema.describe('The key.'),
  }),
]);

const textTemplateSchema = z
  .string()
  .min(1)
  .max(4_000)
  .superRefine((text, context) => {
    const message = templateProblem(text);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

function jsonTemplateSchema(further: readonly string[] = []) {
  return z.json().superRefine((value, context) => {
    for (const { path, message } of jsonTemplateProblems(value as Json, further)) {
      context.addIssue({ code: 'custom', path: [...path], message });
    }
  });
}

/** An address whose path and query may hold variables; its host may not: it decides who is spoken to. */
function urlTemplateSchema(further: readonly string[] = []) {
  return z.string().superRefine((text, context) => {
    const message = templateProblem(text, further);
    if (message !== null) context.addIssue({ code: 'custom', message });
    else if (!/^https?:\/\/[^/?#{}@]+(\/|$)/.test(text)) {
      context.addIssue({
        code: 'custom',
        message: 'expected an http:// or https:// URL with variables in its path or query only',
      });
    }
  });
}

const urlOrReferenceSchema = z.union(
  [httpUrlSchema, referenceSchema],
  'expected an https:// URL, or a reference such as env:NAME where the URL itself is secret',
);

const dnsTargetSchema = z.strictObject({
  type: z.literal('dns').describe('Records of a zone, changed by signed dynamic updates (RFC 2136).'),
  server: z
    .string()
    .regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]/]+)(:\d{1,5})?$/, 'expected a host or host:port')
    .describe('The authoritative primary that takes updates (RFC 2136), port 53 when absent.'),
  zone: domainNameSchema.describe('The zone that is updated.'),
  tsig: tsigSchema.describe('The key that signs updates and their answers (RFC 8945).'),
  ttl: durationSchema('60s', 'TTL of the records that are set, in whole seconds.', 1_000),
  timeout: durationSchema('10s', 'For one exchange with the server.', 100),
  allowPrivate: allowPrivateSchema,
});

const unleashTargetSchema = z.strictObject({
  type: z.literal('unleash').describe('The rollout percentage of a flag in Unleash.'),
  url: httpUrlSchema.describe('Address of Unleash, without /api.'),
  token: referenceSchema.describe('An admin or service account token.'),
  project: z.string().min(1).default('default').describe('The project that the flags are in.'),
  environment: z.string().min(1).describe('The environment whose strategies are changed.'),
  ...HTTP_LIMITS,
});

const flagTargetSchema = z.strictObject({
  type: z.literal('flag').describe('A flag behind any HTTP interface.'),
  auth: authSchema.optional().describe('How the key is sent with both requests; none without keys.'),
  headers: z.record(z.string(), z.string()).default({}).describe('Extra headers of both requests.'),
  get: z
    .strictObject({
      url: urlTemplateSchema(['flag']).describe('Where the value is read, such as .../flags/{{flag}}.'),
      value: z
        .string()
        .regex(/^(\/[^/]*)*$/, 'expected a JSON pointer such as /data/value')
        .default('')
        .describe('JSON pointer (RFC 6901) to the value in the answer; the whole answer when empty.'),
    })
    .describe('GET that reads the value: before a change to capture it, after it to verify it.'),
  set: z.strictObject({
    method: z
      .enum(['PUT', 'POST', 'PATCH'])
      .default('PUT')
      .describe('Method of the request that sets the value.'),
    url: urlTemplateSchema(FLAG_VARIABLES).describe('Where the value is set.'),
    body: jsonTemplateSchema(FLAG_VARIABLES).describe(
      'JSON body; "{{value}}" alone becomes the value with its type.',
    ),
  }),
  ...HTTP_LIMITS,
});

/** What a channel reads when the configuration says nothing else. */
const DEFAULT_TEXT =
  '{{route}}: {{moment}}, stage {{stage}}, {{fromShare}} → {{share}} (checkpoint {{checkpoint}}, by {{by}}) {{reason}}';

const slackTargetSchema = z.strictObject({
  type: z.literal('slack').describe('A channel behind a Slack-compatible webhook.'),
  url: referenceSchema.describe('Where the webhook URL is found: it is a secret.'),
  text: textTemplateSchema
    .default(DEFAULT_TEXT)
    .describe('The message; links and the record hash follow it.'),
  ...HTTP_LIMITS,
});

const webhookTargetSchema = z.strictObject({
  type: z.literal('webhook').describe('A receiver of signed messages.'),
  url: urlOrReferenceSchema.describe('Where it is, or a reference to it.'),
  secret: referenceSchema.describe('Signs each message (HMAC-SHA256, Standard Webhooks).'),
  body: jsonTemplateSchema().optional().describe('JSON body instead of the standard one.'),
  ...HTTP_LIMITS,
});

const confirmTargetSchema = z.strictObject({
  type: z.literal('confirm').describe('An external gate: asked before a stage is entered.'),
  url: urlOrReferenceSchema.describe('Where it is, or a reference to it.'),
  secret: referenceSchema.describe('Signs each question (HMAC-SHA256, Standard Webhooks).'),
  interval: durationSchema('10s', 'Time between two questions while there is no answer.', 100),
  default: z
    .enum(['yes', 'no', 'hold'])
    .default('hold')
    .describe('What counts when there is no answer in time; hold: the stage is not entered until one is.'),
  ...HTTP_LIMITS,
  timeout: durationSchema('5m', 'How long it is asked in total, at most 24h.').pipe(
    z.number().max(DAY_MS, 'expected at most 24h'),
  ),
});

/** One target of effects with its defaults filled in; durations in milliseconds. */
export const effectTargetSchema = z
  .discriminatedUnion(
    'type',
    [
      dnsTargetSchema,
      unleashTargetSchema,
      flagTargetSchema,
      slackTargetSchema,
      webhookTargetSchema,
      confirmTargetSchema,
    ],
    'expected one of the types dns, unleash, flag, slack, webhook and confirm',
  )
  .superRefine((target, context) => {
    if (target.type === 'dns') {
      if (target.ttl % 1_000 !== 0) {
        context.addIssue({ code: 'custom', path: ['ttl'], message: 'expected whole seconds' });
      }
      return;
    }
    const places: readonly (readonly [(string | number)[], string])[] =
      target.type === 'flag'
        ? [
            [['get', 'url'], target.get.url],
            [['set', 'url'], target.set.url],
          ]
        : [[['url'], target.url]];
    for (const [path, url] of places) {
      if (url.startsWith('http:') && !target.allowHttp) {
        context.addIssue({
          code: 'custom',
          path,
          message: 'expected https://, or allowHttp: true next to it',
        });
      }
    }
  });

/** Where people find more. */
export const linksSchema = z.strictObject({
  temporalUi: httpUrlSchema.optional().describe('Address of the Temporal UI.'),
  namespace: z.string().min(1).default('default').describe('Temporal namespace in its links.'),
  report: urlTemplateSchema()
    .optional()
    .describe('Address of the report or page, such as https://cutover.example.com/{{route}}.'),
});

const dnsSetSchema = z.strictObject({
  name: domainNameSchema.describe('Full name of the records, within the zone.'),
  type: z.enum(DNS_TYPES).describe('Type of the records.'),
  values: z
    .array(textTemplateSchema)
    .min(1)
    .max(50)
    .describe('One record each; SRV as "priority weight port target".'),
  ttl: durationTextSchema
    .pipe(z.number().min(1_000, 'expected at least 1s'))
    .optional()
    .describe("The target's when absent."),
});

const unleashSetSchema = z.strictObject({
  flag: z.string().regex(/^[\w.~-]{1,100}$/, 'expected the name of a feature flag'),
  rollout: z
    .union(
      [z.literal('share'), z.number().min(0).max(100)],
      'expected "share", or a percentage from 0 to 100',
    )
    .default('share')
    .describe("Percentage of the flexibleRollout strategy; share: the stage's."),
  strategy: z
    .string()
    .min(1)
    .optional()
    .describe('Id or title of the strategy, where a flag has several of type flexibleRollout.'),
  enabled: z.boolean().optional().describe('Switches the flag in the environment; untouched when absent.'),
});

const flagSetSchema = z.strictObject({
  flag: z.string().min(1).max(200),
  value: jsonTemplateSchema().describe('Boolean, number, text or object; may hold variables.'),
});

const slackSetSchema = z.strictObject({ text: textTemplateSchema.optional() });
const webhookSetSchema = z.strictObject({
  data: jsonTemplateSchema().optional().describe('Given to the receiver as `data`.'),
});

/** What a plan may set on a target, by its type; external gates are no effects. */
export const EFFECT_SET_SCHEMAS = {
  dns: dnsSetSchema,
  unleash: unleashSetSchema,
  flag: flagSetSchema,
  slack: slackSetSchema,
  webhook: webhookSetSchema,
};

export type DnsSet = z.output<typeof dnsSetSchema>;
export type UnleashSet = z.output<typeof unleashSetSchema>;

/** An effect of a stage as a plan file writes it. */
export const plannedEffectSchema = z.strictObject({
  name: nameSchema.describe('A target of the configuration.'),
  set: z.record(z.string(), z.json()).default({}).describe("What to set there: fields of the target's type."),
});
