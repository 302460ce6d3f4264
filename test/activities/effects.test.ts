import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createEffectActivities } from '../../src/activities/effects';
import { type EffectActivities, FAILURES } from '../../src/contract';
import { InvalidDocument } from '../../src/core/configuration/schema-parts';
import { EffectProblem } from '../../src/core/effects/effect-problem';
import type { EffectPort, Ports } from '../../src/ports';
import { effectContext } from '../support/effect-trial';

/** Failures are what these tests are about: they need not be told. */
function quietEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
}

const INPUT = { effect: { name: 'flags', set: {} }, key: 'k', context: effectContext() };

function activitiesOver(effects: Partial<EffectPort>): EffectActivities {
  return createEffectActivities({ effects } as Ports);
}

function failureOf(thrown: unknown): Promise<unknown> {
  const { applyEffect } = activitiesOver({ apply: () => Promise.reject(thrown) });
  return quietEnvironment()
    .run(applyEffect, INPUT)
    .catch((error: unknown) => error);
}

it('hands effect, key and what was captured to the target, and its words back', async () => {
  const seen: unknown[][] = [];
  const { captureEffect, restoreEffect, confirm } = activitiesOver({
    capture: async () => ({ value: 1 }),
    restore: async (...args) => {
      seen.push(args.slice(0, 3));
      return 'as before';
    },
    confirm: async ({ name, askedMs }) => ({ answer: 'yes', note: `${name}, asked for ${askedMs} ms` }),
  });
  const environment = () => quietEnvironment();
  const captured = await environment().run(captureEffect, INPUT);
  expect(captured).toEqual({ captured: { value: 1 } });
  expect(await environment().run(restoreEffect, { ...INPUT, captured: { value: 1 } })).toEqual({
    note: 'as before',
  });
  expect(seen).toEqual([[INPUT.effect, { value: 1 }, 'k']]);
  expect(await environment().run(confirm, { ...INPUT, name: 'board', askedMs: 5 })).toEqual({
    answer: 'yes',
    note: 'board, asked for 5 ms',
  });
});

it('is tried again when the target may yet come, as late as it asked for', async () => {
  expect(await failureOf(new EffectProblem('slow', true, 7_000))).toMatchObject({
    type: FAILURES.effectUnavailable,
    nonRetryable: false,
    nextRetryDelay: expect.anything(),
    message: 'slow',
  });
});

it('is not tried again by itself when the target refused', async () => {
  expect(await failureOf(new EffectProblem('refused', false))).toMatchObject({
    type: FAILURES.effectRefused,
    nonRetryable: true,
  });
});

it('waits for a person to mend the configuration', async () => {
  const failure = await failureOf(
    new InvalidDocument('the configuration', [{ path: 'effects', message: 'gone' }]),
  );
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({ type: FAILURES.configuration, nonRetryable: false });
});

it('stops with its target when it is cancelled, while showing that it lives', async () => {
  const environment = quietEnvironment();
  let heartbeats = 0;
  environment.on('heartbeat', () => {
    heartbeats += 1;
    environment.cancel();
  });
  const { applyEffect } = activitiesOver({
    apply: (_effect, _key, _context, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('what a client makes of it')));
      }),
  });
  await expect(environment.run(applyEffect, INPUT)).rejects.toBeInstanceOf(CancelledFailure);
  expect(heartbeats).toBeGreaterThan(0);
});
