import { z } from 'zod';
import { effectTargetSchema, linksSchema } from '../effects/effect-schema';
import { callerSchema } from './caller-schema';
import { checkConfiguration } from './configuration-checks';
import { consoleSchema } from './console-schema';
import { credentialSchema } from './credential-schema';
import { gatewaySchema, gatewaySettingsSchema } from './gateway-schema';
import { providerSchema } from './provider-schema';
import { routeSchema } from './route-schema';
import {
  forwardedHeaderSchema,
  forwardedParameterSchema,
  httpUrlSchema,
  nameSchema,
  referenceSchema,
} from './schema-parts';
import { type listenerTlsSchema, tlsSchema } from './tls-schema';

/**
 * The configuration (`cutover.yaml`): what there is. Gateway and worker read the same file.
 * Keys never stand in it, only references: `env:NAME` or `file:/path`.
 */

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
  .superRefine(checkConfiguration);

/** The configuration with every default filled in; durations are milliseconds. */
export type Configuration = z.output<typeof configurationSchema>;
export type ProviderConfiguration = Configuration['providers'][string];
export type RouteConfiguration = Configuration['routes'][string];
export type ModelMapping = RouteConfiguration['models'][string];
export type CallerConfiguration = Configuration['callers'][number];
export type EffectTargetConfiguration = Configuration['effects'][string];
export type ListenerTlsConfiguration = z.output<typeof listenerTlsSchema>;
export type GatewayAddress = Configuration['gateways'][number];
