import { workflowIdOf } from '../contract';
import type { Configuration, RouteConfiguration } from '../core/configuration/configuration-schema';
import { InvalidDocument } from '../core/configuration/schema-parts';
import { planEffectProblems } from '../core/effects/plan-effects';
import type { MigrationStart } from '../core/migration/migration-state';
import { planJudgeProblems } from '../core/plan/judge/judge-problems';
import { formatShare, type Plan } from '../core/plan/plan';
import { planCohortProblems } from '../core/plan/plan-cohorts';
import { planPriceProblems } from '../core/plan/plan-prices';
import { formatDuration } from '../core/text/duration';

/** What an operator asks for when a migration is started. */
export interface StartRequest {
  readonly plan: Plan;
  readonly configuration: Configuration;
  readonly by: string;
  readonly reason: string;
  /** Whether a route that is settled on the candidate may be moved back to legacy; refused otherwise. */
  readonly moveBack?: boolean;
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
export function migrationStart(request: StartRequest, now: Date, random: Uint8Array): MigrationStart {
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
export function startTexts(
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
