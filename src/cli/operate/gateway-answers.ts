import { existsSync } from 'node:fs';
import { createGatewayAdmin } from '../../adapters/create-gateway-admin';
import {
  configurationPath,
  environment,
  loadConfiguration,
  resolveSecret,
  UnresolvedSecret,
} from '../../config';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { hasAnswered, identifyGateways } from '../../core/routing/gateway-identity';
import type { GatewayStatus } from '../../core/routing/routing';
import type { GatewayAnswer } from '../../ports';

/** What the gateways of a configuration say of a route. */
export interface GatewayAnswers {
  readonly gateways: readonly {
    readonly name: string;
    readonly admin: string;
    readonly answer: GatewayAnswer<GatewayStatus>;
    /** Whether it answers, or several under its name do. */
    readonly isAlive: boolean;
  }[];
  /** Why none could be asked; null where they were. */
  readonly problem: string | null;
}

/** What to do about a gateway whose disk refuses its record. */
export const UNWRITABLE_FIX =
  'make its gateway.stateDirectory a folder that it can write to, with room on the disk; its log says what the disk answers';

/** Asks every gateway of a configuration about a route at its admin listener, all at once, for at most three seconds. */
export async function readGateways(configuration: Configuration, route: string): Promise<GatewayAnswers> {
  let admin: ReturnType<typeof createGatewayAdmin>;
  try {
    admin = createGatewayAdmin(configuration, resolveSecret);
  } catch (error) {
    if (error instanceof UnresolvedSecret) return { gateways: [], problem: error.message };
    throw error;
  }
  try {
    const asked = (await admin.discover()).map(async (found) => ({
      found,
      answer: await admin.status(found, route),
    }));
    const gateways = identifyGateways(await Promise.all(asked), []).map((one) => ({
      ...one.gateway,
      answer: one.answer,
      isAlive: hasAnswered(one),
    }));
    return { gateways, problem: null };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { gateways: [], problem: `the gateways cannot be found: ${problem}` };
  } finally {
    await admin.close();
  }
}

/** The same where a configuration is named or lies here; without one nobody knows where the gateways are. */
export async function readConfiguredGateways(
  given: string | undefined,
  route: string,
): Promise<GatewayAnswers> {
  const path = configurationPath(given);
  const isNamed = given !== undefined || environment['CUTOVER_CONFIG'] !== undefined;
  if (!isNamed && !existsSync(path)) {
    return { gateways: [], problem: `there is no ./${path} that says where they are` };
  }
  let configuration: Configuration;
  try {
    configuration = loadConfiguration(path);
  } catch (error) {
    // Where a migration stands is said whatever is wrong with the file.
    return { gateways: [], problem: error instanceof Error ? error.message : String(error) };
  }
  return readGateways(configuration, route);
}
