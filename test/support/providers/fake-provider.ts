import { type DemoProvider, type ProviderOptions, startProvider } from '../../../src/demo/provider';

/** The demo's provider with hardly any latency and no randomness in it, for tests. */
export function startFakeProvider(options: Partial<ProviderOptions> = {}): Promise<DemoProvider> {
  return startProvider({
    name: 'fake',
    models: ['gpt-4o', 'gpt-4o-mini', 'text-embedding-3-small'],
    ...options,
    behaviour: { latencyMs: 0, tokenMs: 0, jitter: 0, tokens: 5, ...options.behaviour },
  });
}
