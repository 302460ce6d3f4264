import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The quick tests of the state machine as one test file, so that its modules are loaded once and not once per file.
 * Jest's own configuration never runs it.
 */
const ROOMS = ['core/migration', 'core/effects', 'core/routing'];

/** In other rooms, but about the state machine as well. */
const FURTHER = [
  'core/gates/holdback',
  'core/gates/alpha-spending',
  'core/record/checkpoint',
  'history/unchanged-records',
];

/** Thousands of random orders: they would take minutes per mutant. */
const RANDOM_ORDERS = 'migration-properties';

const inRooms = ROOMS.flatMap((room) =>
  readdirSync(join(__dirname, '..', room)).flatMap((file) => {
    const [, name] = /^(.+)\.test\.ts$/.exec(file) ?? [];
    return name === undefined || name === RANDOM_ORDERS ? [] : [`${room}/${name}`];
  }),
);
for (const file of [...inRooms, ...FURTHER]) require(`../${file}.test`);
