import { MigrationClient } from '../../../src/client';
import type { RunningTemporal } from '../../../src/temporal-server/dev-server';
import type { FakeWorld } from './fake-activities';
import { startFakeWorker, startTestTemporal } from './migration-fixture';

/** A Temporal server, a client of it, and workers over a fake world. */
export interface FakeStack {
  readonly temporal: RunningTemporal;
  readonly client: MigrationClient;
  stopWorker(): Promise<void>;
  startWorker(): Promise<void>;
  stop(): Promise<void>;
}

export async function startFakeStack(
  world: FakeWorld,
  dynamicConfig: Readonly<Record<string, number>> = {},
): Promise<FakeStack> {
  const temporal = await startTestTemporal(dynamicConfig);
  const client = await MigrationClient.connect({ address: temporal.address });
  let worker = await startFakeWorker(temporal, world);
  return {
    temporal,
    client,
    stopWorker: () => worker.stop(),
    async startWorker() {
      worker = await startFakeWorker(temporal, world);
    },
    async stop() {
      await worker.stop();
      await client.close();
      await temporal.stop();
    },
  };
}
