import {
  defineSearchAttributeKey,
  SearchAttributeType,
  type SearchAttributeUpdatePair,
} from '@temporalio/common';
import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { type MigrationState, stageAt } from '../core/migration/migration-state';

const ROUTE = defineSearchAttributeKey('CutoverRoute', SearchAttributeType.KEYWORD);
const STAGE = defineSearchAttributeKey('CutoverStage', SearchAttributeType.KEYWORD);
const SHARE = defineSearchAttributeKey('CutoverShare', SearchAttributeType.DOUBLE);
const PAUSED = defineSearchAttributeKey('CutoverPaused', SearchAttributeType.BOOL);

/** Upserts what changed; each upsert is an event, so that an unchanged state costs none. */
export function publishSearchAttributes(state: MigrationState): void {
  const held = workflowInfo().typedSearchAttributes;
  const stage =
    state.outcome ??
    (state.phase === 'observing' || state.phase === 'reading'
      ? stageAt(state.plan, state.stageIndex).name
      : state.phase);
  const updates: SearchAttributeUpdatePair[] = [];
  if (held.get(ROUTE) !== state.plan.route) updates.push({ key: ROUTE, value: state.plan.route });
  if (held.get(STAGE) !== stage) updates.push({ key: STAGE, value: stage });
  const share = state.inEffect?.record.share ?? 0;
  if (held.get(SHARE) !== share) updates.push({ key: SHARE, value: share });
  const paused = state.paused !== null;
  if (held.get(PAUSED) !== paused) updates.push({ key: PAUSED, value: paused });
  if (updates.length > 0) upsertSearchAttributes(updates);
}
