import { z } from 'zod';
import { isTimeZone } from '../rollout-hours';

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'expected a time of day such as "09:00"');
const localTime = z
  .string()
  .regex(
    /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]):[0-5]\d)?$/,
    'expected a day such as "2026-12-20" or a local time such as "2026-12-20T18:00"',
  );

/** When a share may be raised. */
export const rolloutSchema = z.strictObject({
  timeZone: z
    .string()
    .refine(isTimeZone, {
      error: ({ input }) =>
        `expected an IANA time zone such as "Europe/Berlin", got ${JSON.stringify(input)}`,
    })
    .describe('The time zone of hours and freezes.'),
  hours: z
    .array(
      z
        .strictObject({
          days: z
            .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
            .min(1)
            .describe('Days on which the hours begin.'),
          from: timeOfDay.describe('Local time such as 09:30.'),
          to: timeOfDay.describe('Local time; on the next day if it is earlier than from.'),
        })
        .refine(({ from, to }) => from !== to, 'expected hours that differ, got the same from and to'),
    )
    .max(50)
    .default([])
    .describe('Weekly hours at which a share may be raised; none: any hour.'),
  freezes: z
    .array(
      z
        .strictObject({
          from: localTime.describe('A day, or a local time such as 2026-12-24T18:00.'),
          to: localTime.describe('The same; later than from.'),
          reason: z.string().max(200).default('').describe('Why; shown during the freeze.'),
        })
        .transform(({ from, to, reason }) => ({
          from: from.length === 10 ? `${from}T00:00` : from,
          to: to.length === 10 ? `${to}T24:00` : to,
          reason,
        }))
        .refine(({ from, to }) => from < to, 'expected a later time in to than in from'),
    )
    .max(50)
    .default([])
    .describe('Days or local times between which no share is raised; a day given as `to` is included.'),
});
