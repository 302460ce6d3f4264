import type { DemoProvider } from '../../../src/demo/provider';
import { startFakeProvider } from '../providers/fake-provider';
import { startTestGateway, type TestGateway } from './running-gateway';

/** A gateway between two providers of the demo. */
export interface DemoPair {
  readonly legacy: DemoProvider;
  readonly candidate: DemoProvider;
  readonly gateway: TestGateway;
  stop(): Promise<void>;
}

export async function startDemoPair(): Promise<DemoPair> {
  const legacy = await startFakeProvider({ name: 'old' });
  const candidate = await startFakeProvider({ name: 'new' });
  const gateway = await startTestGateway({ legacyUrl: legacy.url, candidateUrl: candidate.url });
  return {
    ...{ legacy, candidate, gateway },
    async stop() {
      await gateway.stop();
      await legacy.stop();
      await candidate.stop();
    },
  };
}
