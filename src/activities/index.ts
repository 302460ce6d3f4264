import type { EffectActivities, ReportActivities, RoutingActivities, WatchActivities } from '../contract';
import type { Ports } from '../ports';
import { createAnalyseUsage } from './analyse-usage';
import { createAssess } from './assess';
import { createCheckHealth } from './check-health';
import { createEffectActivities } from './effects';
import { createHandoverProbe } from './handover-probe';
import { createCheckIdentity } from './identity/check-identity';
import { createCheckParity } from './parity';
import { createRoutingActivities } from './routing';
import { createWatchStage } from './watch-stage';
import { createWriteReport } from './write-report';

/** The activities of the three task queues over the ports; see `Ports` for what they need of the world. */
export function createActivities(ports: Ports): {
  routing: RoutingActivities;
  watch: WatchActivities;
  effects: EffectActivities & ReportActivities;
} {
  return {
    routing: createRoutingActivities(ports),
    watch: {
      analyseUsage: createAnalyseUsage(ports),
      assess: createAssess(ports),
      checkHealth: createCheckHealth(ports),
      checkIdentity: createCheckIdentity(ports),
      checkParity: createCheckParity(ports),
      handoverProbe: createHandoverProbe(ports),
      watchStage: createWatchStage(ports),
    },
    effects: { ...createEffectActivities(ports), writeReport: createWriteReport(ports) },
  };
}
