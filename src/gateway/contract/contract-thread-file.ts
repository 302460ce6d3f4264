import { join } from 'node:path';

/** What a thread runs; a module of its own, because tests run sources and a thread needs what was built of them. */
export const CONTRACT_THREAD = join(__dirname, 'contract-thread.js');
