import type { z } from 'zod';
import type { callerSchema } from './caller-schema';
import { credentialNameOf } from './credential-schema';
import type { gatewaySchema } from './gateway-schema';
import { keyReferencesOf, type providerSchema } from './provider-schema';
import type { routeSchema } from './route-schema';

/** What no field of the configuration shows by itself: names that refer to each other. */
export function checkConfiguration(
  configuration: CheckedConfiguration,
  context: z.core.$RefinementCtx,
): void {
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
    for (const provider of ['legacy', 'candidate'] as const) {
      if (!(route[provider] in configuration.providers)) unknown(['routes', name, provider], route[provider]);
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
}

type ByName<Schema extends z.ZodType> = Readonly<Record<string, z.output<Schema>>>;

/** The parts that refer to each other. */
interface CheckedConfiguration {
  readonly providers: ByName<typeof providerSchema>;
  readonly credentials: Readonly<Record<string, unknown>>;
  readonly routes: ByName<typeof routeSchema>;
  readonly defaultRoute?: string | undefined;
  readonly gateways: readonly z.output<typeof gatewaySchema>[];
  readonly gatewayDiscovery?: object | undefined;
  readonly callers: readonly z.output<typeof callerSchema>[];
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
