import { existsSync } from 'node:fs';
import { defaultPlan, loadPlan, USUAL_PLAN } from '../../client/plan-file';
import { configurationPath, loadConfiguration } from '../../config';
import type { WordKind } from './command-tree';

/** The names that a shell offers; none where no configuration or plan can be read: completion never complains. */
export function configuredWords(kind: WordKind): readonly string[] {
  try {
    switch (kind) {
      case 'routes':
        return Object.keys(loadConfiguration(configurationPath()).routes);
      case 'gateways':
        return loadConfiguration(configurationPath()).gateways.map(({ name }) => name);
      case 'stages': {
        const plan = existsSync(USUAL_PLAN) ? loadPlan(USUAL_PLAN) : defaultPlan('any');
        return plan.stages.map(({ name }) => name);
      }
      default:
        return kind satisfies never;
    }
  } catch {
    return [];
  }
}
