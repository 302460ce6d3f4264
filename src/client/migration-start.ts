import { randomBytes } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { MIGRATION_WORKFLOW, type MigrationInput, TASK_QUEUE, workflowIdOf } from '../contract';
import type { Configuration, RouteConfiguration } from '../core/configuration/configuration-schema';
import { InvalidDocument } from '../core/configuration/schema-parts';
import { planEffectProblems } from '../core/effects/plan-effects';
import { type MigrationStart, stageAt } from '../core/migration/migration-state';
import { planJudgeProblems } from '../core/plan/judge/judge-problems';
import { formatShare, type Plan } from '../core/plan/plan';
import { planCohortProblems } from '../core/plan/plan-cohorts';
import { planPriceProblems } from '../core/plan/plan-prices';
import { formatDuration } from '../core/text/duration';
import { MigrationAlreadyRuns } from './errors';
import type { MigrationList } from './migration-list';
import type { MigrationRun } from './migration-run';
import { firstSearchAttributes, isInvalidArgument, type TemporalService } from './temporal-service';

/** What an operator asks for when a migration is started. */
export interface StartRequest {
  readonly plan: Plan;
  readonly configuration: Configuration;
  readonly by: string;
  readonly reason: string;
  /** Whether a route that is settled on the candidate may be moved back to legacy; refused otherwise. */
  readonly moveBack?: boolean;
}

/** A migration that was just started. */
export interface StartedMigration {
  readonly migrationId: string;
  readonly workflowId: string;
  readonly runId: string;
  /** Whether stage, share and pause can be searched for in Temporal. */
  readonly searchAttributes: boolean;
  /** The migration of the route that was there before, over by now; null where Temporal keeps none. */
  readonly replaced: ReplacedMigration | null;
}

/** A migration after which another one was started. */
export interface ReplacedMigration {
  readonly migrationId: string;
  /** Whether it was still open when the start was asked for: somebody else's start may have just ended. */
  readonly wasOpen: boolean;
  /** When it ended; null for one that ended while this start was under way. */
  readonly closedAt: Date | null;
}

/** How long a task waits that a worker took along which is stopped or cut off. */
const TASK_TIMEOUT = '5s';

/** Starts a migration; throws `MigrationAlreadyRuns`, or `InvalidDocument` for a plan that fits no route. */
export async function startMigration(
  service: TemporalService,
  migrations: Pick<MigrationList, 'describe' | 'newest'>,
  request: StartRequest,
): Promise<StartedMigration> {
  const { route } = request.plan;
  const now = new Date();
  const start = migrationStart(request, now, randomBytes(20));
  const texts = startTexts(request, start, now);
  const before = await migrations.newest(route);
  try {
    const searchAttributes = await service.learnSearchAttributes();
    const begin = (known: boolean) =>
      service.ask(() => {
        const input: MigrationInput = { start, carried: null, searchAttributes: known };
        return service.workflows.start(MIGRATION_WORKFLOW, {
          ...texts,
          taskQueue: TASK_QUEUE,
          args: [input],
          workflowTaskTimeout: TASK_TIMEOUT,
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          workflowIdConflictPolicy: 'FAIL',
          ...(known
            ? { typedSearchAttributes: firstSearchAttributes(route, stageAt(start.plan, 0).name) }
            : {}),
        });
      });
    const begun = await begin(searchAttributes).catch((error: unknown) => {
      // What was registered a moment ago may not be known everywhere yet.
      if (searchAttributes && isInvalidArgument(error)) return begin(false);
      throw error;
    });
    const { workflowId, firstExecutionRunId } = begun;
    const { migrationId } = start;
    const replaced = before === null ? null : replacedBy(before);
    return { migrationId, workflowId, runId: firstExecutionRunId, searchAttributes, replaced };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw new MigrationAlreadyRuns(route, (await migrations.describe(route)).migrationId);
  }
}

function replacedBy({ migrationId, closedAt }: MigrationRun): ReplacedMigration {
  return { migrationId, closedAt, wasOpen: closedAt === null };
}

/** The route's part of the configuration; throws `InvalidDocument` where a start could come to nothing. */
function routeToMove({ plan, configuration }: StartRequest): RouteConfiguration {
  const route = configuration.routes[plan.route];
  if (route === undefined) {
    throw new InvalidDocument('the plan', [
      {
        path: 'route',
        message: `expected one of the configuration's routes (${Object.keys(configuration.routes).join(', ')}), got "${plan.route}"`,
      },
    ]);
  }
  if (configuration.gateways.length === 0 && configuration.gatewayDiscovery === undefined) {
    throw new InvalidDocument('the configuration', [
      { path: 'gateways', message: 'expected at least one gateway, or gatewayDiscovery, got none' },
    ]);
  }
  const problems = [
    ...planEffectProblems(plan, configuration),
    ...planPriceProblems(plan, configuration),
    ...planCohortProblems(plan, configuration),
    ...planJudgeProblems(plan, configuration),
  ];
  if (problems.length > 0) throw new InvalidDocument('the plan', problems);
  return route;
}

/** The start of a migration; `random` is at least 20 random bytes, which become its salt and part of its id. */
function migrationStart(request: StartRequest, now: Date, random: Uint8Array): MigrationStart {
  const { plan, by, reason } = request;
  const { stickyKey, newConversationsOnly, shadow } = routeToMove(request);
  const hex = Buffer.from(random).toString('hex');
  const time = now
    .toISOString()
    .replace(/[-:]|\.\d+/g, '')
    .toLowerCase();
  return {
    migrationId: `${plan.route}-${time}-${hex.slice(0, 6)}`,
    plan,
    by,
    reason,
    stickyKey,
    newConversationsOnly,
    shadow,
    salt: hex.slice(6),
    ...(request.moveBack === true ? { moveBack: true } : {}),
  };
}

/** The options of the workflow's start that people see in the Temporal UI. */
function startTexts(
  request: StartRequest,
  start: MigrationStart,
  now: Date,
): {
  readonly workflowId: string;
  readonly memo: Readonly<Record<string, string>>;
  readonly staticSummary: string;
  readonly staticDetails: string;
} {
  const { plan, by, reason } = request;
  const { legacy, candidate } = routeToMove(request);
  const stages = plan.stages.map(
    ({ name, share, soakMs, minimumSample }) =>
      `- **${name}**: ${formatShare(share)}, soak ${soakMs === 0 ? 'none' : formatDuration(soakMs)}, at least ${minimumSample} requests`,
  );
  return {
    workflowId: workflowIdOf(plan.route),
    memo: { migrationId: start.migrationId, route: plan.route, by, reason, startedAt: now.toISOString() },
    staticSummary: `Move ${plan.route} from ${legacy} to ${candidate}`,
    staticDetails: [
      `Migration ${start.migrationId}, started by ${by}${reason === '' ? '' : `: ${reason}`}`,
      '',
      ...stages,
    ].join('\n'),
  };
}
