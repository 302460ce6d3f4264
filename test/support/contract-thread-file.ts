import { built } from './cli';

/** Stands for `src/gateway/contract/contract-thread-file.ts` in tests, which run from the sources. */
export const CONTRACT_THREAD = built('src/gateway/contract/contract-thread.js');
