import { environment } from '../../config';
import { configuredAddress } from '../../temporal-server/configured-address';
import type { WorkerOptions } from '../../worker';
import type { ConnectionFlags } from '../options/connection';

/** Where a worker finds Temporal: by flags, TEMPORAL_* variables, a profile, or on this machine. */
export interface TemporalTarget extends Pick<WorkerOptions, 'connection' | 'namespace' | 'dataConverter'> {
  readonly address: string;
}

/** Throws `InvalidTemporalConfiguration` for variables or a profile that cannot be used. */
export function temporalTarget(flags: ConnectionFlags): TemporalTarget {
  const found = configuredAddress({
    ...environment,
    ...(flags.address === undefined ? {} : { TEMPORAL_ADDRESS: flags.address }),
    ...(flags.namespace === undefined ? {} : { TEMPORAL_NAMESPACE: flags.namespace }),
  });
  const { tls, apiKey, metadata } = found?.connectionOptions ?? {};
  const address = found?.address ?? '127.0.0.1:7233';
  return {
    address,
    namespace: found?.namespace ?? 'default',
    connection: {
      address,
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    },
    ...(flags.dataConverter === undefined ? {} : { dataConverter: flags.dataConverter }),
  };
}
