import fc from 'fast-check';

/** The seed that `npm test` plays properties with, so that what it finds is the change's; `new` takes another each time. */
const asked = process.env['CUTOVER_PROPERTY_SEED'] ?? '5';
const seed = asked === 'new' ? Date.now() % 1_000_000_000 : Number(asked);
if (!Number.isInteger(seed))
  throw new Error(`expected CUTOVER_PROPERTY_SEED of an integer or new, got ${asked}`);
// A failure prints its seed.
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
