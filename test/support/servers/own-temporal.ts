import { cacheDirectory, environment } from '../../../src/config';
import { findTemporal } from '../../../src/temporal-server/temporal-source';

/** The executable of a server that a test starts itself, whatever service this machine is configured for. */
export async function ownTemporal(report: (line: string) => void = () => {}): Promise<string> {
  const source = await findTemporal({
    env: {
      ...environment,
      TEMPORAL_ADDRESS: undefined,
      TEMPORAL_PROFILE: undefined,
      TEMPORAL_API_KEY: undefined,
    },
    cacheDir: cacheDirectory(),
    report,
  });
  if (source.kind === 'executable') return source.path;
  throw new Error(`expected a Temporal executable, found ${source.address}: unset its profile for the tests`);
}
