import { ofFile } from '../of-file';
import { type ScriptedProvider, startScriptedProvider } from './scripted-provider';

/** Both providers of a route. */
export interface ScriptedPair {
  readonly legacy: ScriptedProvider;
  readonly candidate: ScriptedProvider;
}

/**
 * Two providers for all tests of a file which answer by this script: before each test they do so again, and have been
 * asked nothing.
 */
export function scriptedPair(script: ScriptedProvider['script']): () => ScriptedPair {
  const pair = ofFile(async () => {
    const legacy = await startScriptedProvider(script);
    const candidate = await startScriptedProvider(script);
    return { legacy, candidate, stop: () => Promise.all([legacy.stop(), candidate.stop()]) };
  });
  beforeEach(() => {
    for (const provider of [pair().legacy, pair().candidate]) {
      provider.script = script;
      provider.bodies.length = 0;
    }
  });
  return pair;
}
