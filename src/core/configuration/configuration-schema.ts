import { z } from 'zod';
import { refuseLiteral } from '../access/address-guard';
import { effectTargetSchema, linksSchema } from '../effects/effect-schema';
import { consoleSchema } from './console-schema';
import { credentialNameOf, credentialSchema } from './credential-schema';
import { DIALECTS } from './dialect';
import { requestRulesSchema } from './request-rules';
import {
  durationSchema,
  forwardedHeaderSchema,
  forwardedParameterSchema,
  httpUrlSchema,
  keyReferenceSchema,
  nameSchema,
  referenceSchema,
  shareSchema,
} from './schema-parts';

/**
 * The configuration (`cutover.yaml`): what there is. Gateway and worker read the same file.
 * Keys never stand in it, only references: `env:NAME` or `file:/path`.
 */

const otherKeysSchema = z
  .array(keyReferenceSchema)
  .min(1)
  .max(15)
  .optional()
  .describe(
    'Further keys of the same account: requests are spread over all. One that gets 429 or 401 rests.',
  );

const authSchema = z.union([
  z.strictObject({
    bearer: keyReferenceSchema.describe('Sent as Authorization: Bearer KEY.'),
    others: otherKeysSchema,
  }),
  z.strictObject({
    header: z
      .string()
      .regex(/^[A-Za-z0-9-]+$/)
      .describe('Name of the header that carries the key, such as api-key.'),
    key: keyReferenceSchema.describe('With header or query: the key.'),
    others: otherKeysSchema,
  }),
  z.strictObject({
    query: z.string().min(1).describe('Name of the query parameter that carries the key.'),
    key: keyReferenceSchema,
  }),
]);

/** Where the key of a provider, or of another service, comes from; never the key. */
export function keyReferenceOf(auth: { readonly bearer: string } | { readonly key: string }): string {
  return 'bearer' in auth ? auth.bearer : auth.key;
}

/** Where all keys of a provider come from: the first one, and the others that requests are spread over. */
export function keyReferencesOf(auth: NonNullable<ProviderConfiguration['auth']>): readonly string[] {
  return [keyReferenceOf(auth), ...('others' in auth ? (auth.others ?? []) : [])];
}

/** Where each key of a provider comes from, with its place in the configuration. */
function keyReferencesIn({
  providers,
  callers,
}: {
  readonly providers: Readonly<Record<string, z.output<typeof providerSchema>>>;
  readonly callers: readonly z.output<typeof callerSchema>[];
}): readonly { readonly path: (string | number)[]; readonly reference: string }[] {
  return [
    ...Object.entries(providers).flatMap(([name, { auth }]) =>
      auth === undefined
        ? []
        : keyReferencesOf(auth).map((reference, place) => ({
            path: [
              'providers',
              name,
              'auth',
              ...(place > 0 ? ['others', place - 1] : ['bearer' in auth ? 'bearer' : 'key']),
            ],
            reference,
          })),
    ),
    ...callers.flatMap(({ keys }, place) =>
      Object.entries(keys).map(([name, reference]) => ({
        path: ['callers', place, 'keys', name],
        reference,
      })),
    ),
  ];
}

const timeoutsSchema = z.strictObject({
  connect: durationSchema('3s', 'To open a connection.'),
  firstContent: durationSchema('60s', 'To the first content-bearing event of a stream.'),
  streamIdle: durationSchema('120s', 'Between two pieces of a stream.'),
  plainTotal: durationSchema('600s', 'A plain answer, from dispatch to its end.'),
});

const priceSchema = z.strictObject({
  inputPerMillion: z.number().min(0).describe('USD per million input tokens.'),
  cachedInputPerMillion: z
    .number()
    .min(0)
    .optional()
    .describe('USD per million cached input tokens; the input price when absent.'),
  cacheWritePerMillion: z
    .number()
    .min(0)
    .optional()
    .describe(
      'USD per million input tokens written into a prompt cache, where the provider counts them; the input price when absent.',
    ),
  outputPerMillion: z.number().min(0).describe('USD per million output tokens.'),
});

/** Private addresses are where providers of one's own are; metadata services would be sent prompts and keys. */
const providerUrlSchema = httpUrlSchema.superRefine((text, context) => {
  const refusal = URL.canParse(text) ? refuseLiteral(new URL(text).hostname, true) : null;
  if (refusal !== null) {
    context.addIssue({ code: 'custom', message: `expected a provider's address: ${refusal.message}` });
  }
});

const providerSchema = z.strictObject({
  baseUrl: providerUrlSchema.describe('Address with its path, such as https://api.openai.com/v1.'),
  dialect: z
    .enum(DIALECTS)
    .default('openai')
    .describe(
      "The API that it speaks: openai, or anthropic for Anthropic's Messages API. Requests are never translated, so both providers of a route speak the same.",
    ),
  auth: authSchema.optional().describe('How the key is sent; none for a provider without keys.'),
  headers: z.record(z.string(), z.string()).default({}).describe('Extra headers of every request.'),
  query: z
    .record(z.string(), z.string())
    .default({})
    .describe('Extra query parameters, such as api-version.'),
  forward: z
    .strictObject({
      headers: z
        .array(forwardedHeaderSchema)
        .default([])
        .describe('As headers.forward, for this provider alone.'),
      query: z
        .array(forwardedParameterSchema)
        .default([])
        .describe('As query.forward, for this provider alone.'),
    })
    .prefault({}),
  timeouts: timeoutsSchema.prefault({}),
  maxConcurrent: z
    .int()
    .min(1)
    .default(1024)
    .describe('Requests in flight from one gateway; above it: failover or 503.'),
  maxConnections: z.int().min(1).default(256).describe('Keep-alive connections from one gateway.'),
  streamUsage: z
    .boolean()
    .default(true)
    .describe(
      'Ask for usage in streams of chat and completions (stream_options.include_usage) where the caller did not.',
    ),
  prices: z
    .record(z.string(), priceSchema)
    .default({})
    .describe('Prices by model as this provider names it.'),
});

const modelMappingSchema = z.strictObject({
  candidate: z.string().min(1).describe("The candidate's name of this model."),
  parameters: requestRulesSchema('the candidate').prefault({}),
  legacyParameters: requestRulesSchema('legacy').optional(),
});

const routeSchema = z.strictObject({
  legacy: nameSchema.describe('Provider that serves the route today.'),
  candidate: nameSchema.describe('Provider that the route may move to.'),
  models: z
    .record(
      z.string().min(1),
      z
        .union([
          z
            .string()
            .min(1)
            .transform((candidate) => ({ candidate })),
          modelMappingSchema,
        ])
        .pipe(modelMappingSchema),
    )
    .default({})
    .describe('Models that can be moved, by the name that callers use. Others stay at legacy.'),
  stickyKey: z
    .union(
      [z.literal('body'), z.literal('none'), z.templateLiteral(['header:', z.string().min(1)])],
      'expected "body", "none" or "header:NAME"',
    )
    .default('body')
    .describe(
      'Key of assignment: header:NAME, body (the first of safety_identifier, user and prompt_cache_key with at most 1 KB) or none (random per request).',
    ),
  openingKeys: z
    .boolean()
    .optional()
    .describe(
      'Know a conversation that has no key by its beginning: a hash of what its system and its user say first. Beginnings of more than 1% of the requests are drawn per request. On with stickyKey: body; never with none.',
    ),
  settled: z
    .enum(['legacy', 'candidate'])
    .default('legacy')
    .describe(
      'Which provider a gateway without a record serves: legacy before a migration, candidate after it has completed.',
    ),
  stateful: z
    .enum(['legacy', 'candidate'])
    .default('legacy')
    .describe('Where files, batches, assistants and similar objects are created.'),
  newConversationsOnly: z
    .boolean()
    .default(false)
    .describe('Requests that carry assistant turns stay on the provider of their key.'),
  shadow: shareSchema.default(0).describe("Fraction of legacy's requests copied to the candidate."),
  replayBudget: z
    .strictObject({
      ratio: z
        .number()
        .min(0)
        .max(1)
        .default(0.1)
        .describe('Part of the requests that may be replayed after an ambiguous failure.'),
      burst: z.int().min(0).default(20).describe('Replays that may come in one burst.'),
    })
    .prefault({}),
  exposeHeaders: z.boolean().default(true).describe('Whether answers carry x-cutover-* headers.'),
});

const gatewaySchema = z.strictObject({
  name: nameSchema.describe('As `cutover gateway --name` says it.'),
  data: httpUrlSchema.describe('Where applications reach this gateway.'),
  admin: httpUrlSchema.describe("This gateway's admin listener."),
});

const callerLimitsSchema = z.strictObject({
  requestsPerMinute: z
    .int()
    .min(1)
    .optional()
    .describe("Requests of any kind; a minute's allowance may be used in one burst."),
  tokensPerMinute: z
    .int()
    .min(1)
    .optional()
    .describe('Input and output tokens as providers count them; estimated from the body until then.'),
  concurrent: z.int().min(1).optional().describe('Concurrent requests and WebSockets.'),
});

const callerSchema = z.strictObject({
  team: nameSchema.describe('Label in logs.'),
  keySha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits: the SHA-256 of the caller’s key')
    .describe("SHA-256 of the caller's existing key."),
  keys: z
    .record(nameSchema, keyReferenceSchema)
    .default({})
    .describe("This team's own provider keys, by provider."),
  headers: z.record(z.string(), z.string()).default({}).describe('Extra headers, such as an organisation.'),
  limits: callerLimitsSchema
    .optional()
    .describe('What this key may use of the whole gateway; above it the answer is 429.'),
});

const breakerSchema = z.strictObject({
  consecutiveFailures: z.int().min(1).default(5).describe('Opens after this many failures in a row.'),
  failureRatio: z
    .number()
    .min(0.01)
    .max(1)
    .default(0.5)
    .describe('Opens when this part of the requests failed.'),
  minimumRequests: z.int().min(1).default(20).describe('Requests in the window before the ratio counts.'),
  window: durationSchema('10s', 'Over which the ratio is taken.'),
  open: durationSchema('1s', 'How long it stays open at first; doubles up to openMax.'),
  openMax: durationSchema('10s', 'The longest it stays open.'),
});

const tunnelsSchema = z.strictObject({
  max: z.int().min(1).default(256).describe('Open WebSockets in one process; each takes two descriptors.'),
  maxPerCaller: z.int().min(1).default(64).describe('Open WebSockets of one caller in one process.'),
  idle: durationSchema('10m', 'A WebSocket without a byte in either direction for this long is closed.'),
});

const outcomesSchema = z.strictObject({
  key: referenceSchema.describe(
    'Signs the x-cutover-request of answers: at least 32 characters, the same at all gateways of a route.',
  ),
  oldKeys: z
    .array(referenceSchema)
    .max(4)
    .default([])
    .describe('Earlier keys, whose answers may still be reported on.'),
});

const cohortsSchema = z.strictObject({
  key: referenceSchema.describe(
    'Signs the headers by which a stage with `only: {header, values}` knows its callers: at least 32 characters, the same at all gateways of a route.',
  ),
  oldKeys: z
    .array(referenceSchema)
    .max(4)
    .default([])
    .describe('Earlier keys, whose signatures are still good.'),
});

const PROCESSES_EXPECTED = 'expected a number from 1 to 256, or "auto"';

const gatewaySettingsSchema = z.strictObject({
  stateDirectory: z
    .string()
    .min(1)
    .default('.cutover/gateway')
    .describe('Where records are kept; one directory per gateway.'),
  processes: z
    .union(
      [z.int(PROCESSES_EXPECTED).min(1, PROCESSES_EXPECTED).max(256, PROCESSES_EXPECTED), z.literal('auto')],
      PROCESSES_EXPECTED,
    )
    .default(1)
    .describe(
      'Processes that serve, each on its own core; `auto`: one per core. Limits of the gateway are divided among them.',
    ),
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(33_554_432)
    .describe('Largest body of a request that can be split.'),
  maxBufferedBytes: z
    .int()
    .min(1024)
    .default(268_435_456)
    .describe(
      'Memory for bodies, held answers and unread answers; one caller gets at most three quarters. A gateway needs 1.5 x this plus 200 MiB per process.',
    ),
  drain: durationSchema(
    '120s',
    'How long requests in flight may keep running after a lowering or at shutdown.',
  ),
  headersTimeout: durationSchema('30s', 'For a caller to send its headers.'),
  bodyTimeout: durationSchema('60s', 'For a caller to send its body.'),
  maxConnections: z
    .int()
    .min(1)
    .default(8192)
    .describe('Open connections of callers in one process; above it new ones are closed immediately.'),
  tunnels: tunnelsSchema.prefault({}),
  breaker: breakerSchema.prefault({}),
  outcomes: outcomesSchema
    .optional()
    .describe(
      'Accepts what applications report about answers at /v1/outcomes; when absent, reports are refused.',
    ),
  cohorts: cohortsSchema
    .optional()
    .describe('Reads signed headers of cohorts; when absent, no header makes a caller one of a cohort.'),
});

const listenerTlsSchema = z.strictObject({
  certificate: referenceSchema.describe(
    'Certificate with its chain, in PEM. A file is read again when it changes.',
  ),
  key: referenceSchema.describe('Its private key, in PEM.'),
  clientCa: referenceSchema
    .optional()
    .describe('CA certificates in PEM: clients must show a certificate signed by one of them.'),
});

const adminClientSchema = z
  .strictObject({
    ca: referenceSchema
      .optional()
      .describe(
        "CA certificates in PEM that the gateways' certificates are checked by; the system's when absent.",
      ),
    certificate: referenceSchema.optional().describe('Certificate to show to admin listeners, in PEM.'),
    key: referenceSchema.optional().describe('Its private key, in PEM.'),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    path: ['key'],
    message: 'expected certificate and key, or neither',
  });

const tlsSchema = z.strictObject({
  data: listenerTlsSchema.optional().describe("The gateways' data listeners; plain HTTP when absent."),
  admin: listenerTlsSchema.optional().describe("The gateways' admin listeners."),
  metrics: listenerTlsSchema.optional().describe("The workers' metrics listeners."),
  console: listenerTlsSchema.optional().describe('The page of `cutover ui`.'),
  adminClient: adminClientSchema
    .optional()
    .describe('How workers and the CLI reach admin listeners that speak TLS.'),
});

export const configurationSchema = z
  .strictObject({
    $schema: z.string().optional(),
    providers: z.record(nameSchema, providerSchema),
    credentials: z
      .record(nameSchema, credentialSchema)
      .default({})
      .describe('Keys that commands print, such as those of Entra, Vertex or a workload identity.'),
    routes: z.record(nameSchema, routeSchema),
    defaultRoute: nameSchema.optional().describe('Route of http://GATEWAY/v1; the first one when absent.'),
    gateways: z.array(gatewaySchema).default([]).describe('Gateways by name, each with its addresses.'),
    gatewayDiscovery: z
      .strictObject({
        admin: httpUrlSchema.describe(
          'Admin URL whose host name resolves to every replica, such as a headless service. Each replica is known by the name that it reports: CUTOVER_GATEWAY_NAME, `--name`, what its state directory keeps, or its host name.',
        ),
      })
      .optional(),
    adminToken: referenceSchema.default('env:CUTOVER_ADMIN_TOKEN').describe('Token of the admin listeners.'),
    metricsToken: referenceSchema
      .optional()
      .describe(
        'Token for the metrics of gateways and workers, and for nothing else. Without one the admin token opens those of gateways, and workers show theirs on loopback only.',
      ),
    tls: tlsSchema.prefault({}).describe("TLS 1.2 and newer on Cutover's own listeners."),
    console: consoleSchema.optional().describe('Who may use the page of `cutover ui`.'),
    adminHosts: z
      .array(z.string())
      .default([])
      .describe('Other Host names that the admin listener answers to.'),
    callers: z
      .array(callerSchema)
      .default([])
      .describe('Gateway keys; without any, a gateway listens on loopback only.'),
    headers: z
      .strictObject({
        forward: z
          .array(forwardedHeaderSchema)
          .default([])
          .describe(
            "Headers of callers that every provider gets in addition to those that it needs: content type, accept, user agent and SDK headers, idempotency key, trace context, OpenAI-Beta, ranges and conditions. Callers' other headers stay at the gateway.",
          ),
      })
      .prefault({}),
    query: z
      .strictObject({
        forward: z
          .array(forwardedParameterSchema)
          .default([])
          .describe(
            "Query parameters of callers that every provider gets in addition to those of OpenAI's API, such as limit, after and include. Callers' other parameters stay at the gateway.",
          ),
      })
      .prefault({}),
    gateway: gatewaySettingsSchema.prefault({}),
    effects: z
      .record(nameSchema, effectTargetSchema)
      .default({})
      .describe(
        'Other systems that a plan changes or notifies: DNS, feature flags, channels, external gates.',
      ),
    links: linksSchema.prefault({}),
  })
  .superRefine((configuration, context) => {
    const unknown = (path: (string | number)[], name: string) =>
      context.addIssue({
        code: 'custom',
        path,
        message: `expected one of the providers (${Object.keys(configuration.providers).join(', ') || 'none is configured'}), got "${name}"`,
      });
    for (const [name, route] of Object.entries(configuration.routes)) {
      const [legacy, candidate] = [
        configuration.providers[route.legacy],
        configuration.providers[route.candidate],
      ];
      if (legacy !== undefined && candidate !== undefined && legacy.dialect !== candidate.dialect) {
        context.addIssue({
          code: 'custom',
          path: ['routes', name, 'candidate'],
          message: `expected a provider with dialect: ${legacy.dialect}, as ${route.legacy} has, got ${route.candidate} with dialect: ${candidate.dialect}; requests are not translated`,
        });
      }
      for (const side of ['legacy', 'candidate'] as const) {
        if (!(route[side] in configuration.providers)) unknown(['routes', name, side], route[side]);
      }
      if (route.legacy === route.candidate) {
        context.addIssue({
          code: 'custom',
          path: ['routes', name, 'candidate'],
          message: `the candidate must differ from legacy, got "${route.candidate}" for both`,
        });
      }
    }
    for (const { path, reference } of keyReferencesIn(configuration)) {
      const name = credentialNameOf(reference);
      if (name === null || Object.hasOwn(configuration.credentials, name)) continue;
      const known = Object.keys(configuration.credentials).join(', ') || 'none is configured';
      const message = `expected one of the credentials (${known}), got "${name}"`;
      context.addIssue({ code: 'custom', path, message });
    }
    if (Object.keys(configuration.routes).length === 0) {
      context.addIssue({
        code: 'custom',
        path: ['routes'],
        message: 'expected at least one route, got none',
      });
    }
    if (configuration.defaultRoute !== undefined && !(configuration.defaultRoute in configuration.routes)) {
      context.addIssue({
        code: 'custom',
        path: ['defaultRoute'],
        message: `expected one of the routes (${Object.keys(configuration.routes).join(', ')}), got "${configuration.defaultRoute}"`,
      });
    }
    if (configuration.gateways.length > 0 && configuration.gatewayDiscovery !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['gatewayDiscovery'],
        message: 'expected either gateways or gatewayDiscovery, got both',
      });
    }
    const seen = new Set<string>();
    configuration.gateways.forEach((gateway, index) => {
      if (seen.has(gateway.name)) {
        context.addIssue({
          code: 'custom',
          path: ['gateways', index, 'name'],
          message: `expected names that differ, got "${gateway.name}" twice`,
        });
      }
      seen.add(gateway.name);
    });
    configuration.callers.forEach((caller, index) => {
      for (const provider of Object.keys(caller.keys)) {
        if (!(provider in configuration.providers)) unknown(['callers', index, 'keys'], provider);
      }
    });
  });

/** The configuration with every default filled in; durations are milliseconds. */
export type Configuration = z.output<typeof configurationSchema>;
export type ProviderConfiguration = Configuration['providers'][string];
export type RouteConfiguration = Configuration['routes'][string];
export type ModelMapping = RouteConfiguration['models'][string];
export type CallerConfiguration = Configuration['callers'][number];
export type EffectTargetConfiguration = Configuration['effects'][string];
export type ListenerTlsConfiguration = z.output<typeof listenerTlsSchema>;
export type GatewayAddress = Configuration['gateways'][number];
