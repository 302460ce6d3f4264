import { COMPLETION, type FaultProvider, startFaultProvider } from './fault-provider';

/** A provider that takes some keys only. */
export interface KeyProvider {
  readonly url: string;
  /** Values of `Authorization` that are good. */
  readonly accepted: Set<string>;
  /** Values that have come since `takeOnly`. */
  readonly seen: Set<string>;
  /** From now on these keys are good and no others. */
  takeOnly(...keys: readonly string[]): void;
}

/** A provider for all tests of a file; by default it quotes the keys that it takes as well as those that it refuses. */
export function keyProvider(quote = (value: string, _accepted: ReadonlySet<string>) => value): KeyProvider {
  let provider: FaultProvider | null = null;
  const [accepted, seen] = [new Set<string>(), new Set<string>()];
  beforeAll(async () => {
    provider = await startFaultProvider(({ response }) => {
      const value = String(response.req.headers.authorization);
      seen.add(value);
      const ok = accepted.has(value);
      response.writeHead(ok ? 200 : 401, { 'content-type': 'application/json' });
      const answer = COMPLETION.replace('Hello', `Hello ${quote(value, accepted)}`);
      response.end(ok ? answer : '{"error":{"message":"no such key"}}');
    });
  });
  afterAll(() => provider?.stop());
  return {
    get url() {
      if (provider === null) throw new Error('expected a provider that was started before all tests');
      return provider.url;
    },
    accepted,
    seen,
    takeOnly(...keys) {
      seen.clear();
      accepted.clear();
      for (const key of keys) accepted.add(`Bearer ${key}`);
    },
  };
}
