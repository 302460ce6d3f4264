/** What all tests of a file share: it starts before them and stops after them. */
export function ofFile<Shared extends { stop(): Promise<unknown> }>(
  start: () => Promise<Shared>,
  timeoutMs?: number,
): () => Shared {
  let shared: Shared | undefined;
  beforeAll(async () => {
    shared = await start();
  }, timeoutMs);
  afterAll(() => shared?.stop());
  return () => {
    if (shared === undefined) throw new Error('expected what is started before all tests');
    return shared;
  };
}
