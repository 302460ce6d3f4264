import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import {
  EFFECT_TASK_QUEUE,
  type EffectActivities,
  type RoutingActivities,
  TASK_QUEUE,
  WATCH_TASK_QUEUE,
  type WatchActivities,
} from '../contract';
import type { EffectRun } from '../core/effects/effect-run';

/** Acting on the world is retried without end rather than failed (law 10). */
export const WITHOUT_END = {
  initialInterval: '1s',
  backoffCoefficient: 1.5,
  maximumInterval: '10s',
} as const;

/** What reads and changes gateways. */
export function routingActivities(summary: string) {
  return proxyActivities<RoutingActivities>({
    taskQueue: TASK_QUEUE,
    startToCloseTimeout: '15 min',
    // So long a rollback waits that was handed to a worker which is stopped or cut off.
    heartbeatTimeout: '3s',
    retry: WITHOUT_END,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    summary,
  });
}

/** What watches, assesses and checks; each says how long it may take. */
export function watchActivities(summary: string, options: Omit<ActivityOptions, 'taskQueue' | 'summary'>) {
  return proxyActivities<WatchActivities>({
    taskQueue: WATCH_TASK_QUEUE,
    retry: WITHOUT_END,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    ...options,
    summary,
  });
}

/** What an effect does in the world. */
export function effectActivities({ purpose, effect, status, about }: EffectRun) {
  const what = purpose === 'apply' && status === 'waiting' ? 'capture' : purpose;
  return proxyActivities<EffectActivities>({
    taskQueue: EFFECT_TASK_QUEUE,
    startToCloseTimeout: purpose === 'confirm' ? '25h' : '2 min',
    scheduleToCloseTimeout: purpose === 'confirm' ? '26h' : '10 min',
    heartbeatTimeout: '10s',
    // The state machine tries again, so that each attempt is seen and compensation can step in between.
    retry: { maximumAttempts: 1 },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: `Effect: ${what} ${effect.name} (${about.moment}, ${about.stage})`.slice(0, 200),
  });
}
