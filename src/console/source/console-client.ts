import type { MigrationClient } from '../../client';

/** What the screens ask of Temporal. */
export type ConsoleClient = Pick<
  MigrationClient,
  | 'status'
  | 'checkpoints'
  | 'verdicts'
  | 'assessment'
  | 'rollbackEligibility'
  | 'amendment'
  | 'command'
  | 'list'
  | 'workers'
>;

/** Connects when it is first asked, and again after a connection that could not be opened. */
export function connectLazily<Client extends ConsoleClient>(
  connect: () => Promise<Client>,
): () => Promise<Client> {
  let connecting: Promise<Client> | null = null;
  return () => {
    connecting ??= connect().catch((error: unknown) => {
      connecting = null;
      throw error;
    });
    return connecting;
  };
}
