import { existsSync } from 'node:fs';
import { createGatewayAdmin } from '../../adapters/create-gateway-admin';
import type { GatewayAdmin } from '../../adapters/gateway-admin';
import { planOfText } from '../../client/plan-file';
import { configurationPath, environment, loadConfiguration, resolveSecret } from '../../config';
import type { ProviderNames } from '../../console/view/action';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { InvalidDocument } from '../../core/configuration/schema-parts';
import { planEffectProblems } from '../../core/effects/plan-effects';
import type { Plan } from '../../core/plan/plan';
import { printNote } from '../options/output';

/** What the screens know beside Temporal: names of providers and the way to the gateways. */
export interface ConsoleParts {
  readonly gateways: GatewayAdmin | null;
  readonly providersOf: (route: string) => ProviderNames | null;
  readonly tls: Configuration['tls'];
  readonly console: Configuration['console'];
  /** The plan in a text, checked against the configuration where there is one; throws `InvalidDocument`. */
  readonly readPlan: (text: string) => Plan;
}

const GIVEN_PLAN = 'the plan';

/** From the configuration, where one is named or lies here; without one a screen shows what Temporal knows. */
export function consoleParts(given: string | undefined): ConsoleParts {
  const path = configurationPath(given);
  const named = given !== undefined || environment['CUTOVER_CONFIG'] !== undefined;
  if (!named && !existsSync(path)) {
    const readPlan = (text: string) => planOfText(text, GIVEN_PLAN);
    return { gateways: null, providersOf: () => null, tls: {}, console: undefined, readPlan };
  }
  const configuration = loadConfiguration(path);
  return {
    gateways: gatewaysOf(configuration),
    providersOf: (route) => providersOf(configuration, route),
    tls: configuration.tls,
    console: configuration.console,
    readPlan(text) {
      const plan = planOfText(text, GIVEN_PLAN);
      const problems = planEffectProblems(plan, configuration);
      if (problems.length > 0) throw new InvalidDocument(GIVEN_PLAN, problems);
      return plan;
    },
  };
}

function gatewaysOf(configuration: Configuration): GatewayAdmin | null {
  try {
    return createGatewayAdmin(configuration, resolveSecret);
  } catch (error) {
    // The screens only look: without the admin token they show what Temporal knows.
    printNote(`the gateways are not read: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function providersOf({ routes }: Configuration, route: string): ProviderNames | null {
  const known = Object.hasOwn(routes, route) ? routes[route] : undefined;
  return known === undefined ? null : { legacy: known.legacy, candidate: known.candidate };
}
