import { built } from './cli';

/** Stands for `src/parity/schema-thread-file.ts` in tests, which run from the sources. */
export const SCHEMA_THREAD = built('src/parity/schema-thread.js');
