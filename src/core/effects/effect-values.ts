import { formatShare } from '../plan/plan';
import type { EffectContext } from './effect';
import { fillText, type TEMPLATE_VARIABLES, type TemplateValues } from './template';

/** Where people find more, as the configuration says it. */
export interface EffectLinks {
  /** Address of the Temporal UI; null: no link. */
  readonly temporalUi: string | null;
  readonly namespace: string;
  /** Template of the report's address; null: no link. */
  readonly report: string | null;
}

type VariableValues = Readonly<Record<(typeof TEMPLATE_VARIABLES)[number], string | number>>;

/** The values of every template variable at one moment; nothing is escaped yet. */
export function effectValues(
  context: EffectContext,
  links: EffectLinks,
  key: string,
): VariableValues & TemplateValues {
  const percent = Number((context.share * 100).toFixed(4));
  const values: VariableValues = {
    route: context.route,
    migrationId: context.migrationId,
    moment: context.moment,
    stage: context.stage,
    share: formatShare(context.share),
    fromShare: formatShare(context.fromShare),
    percent,
    restPercent: Number((100 - percent).toFixed(4)),
    epoch: context.epoch,
    checkpoint: context.checkpoint,
    by: context.by,
    reason: context.reason,
    outcome: context.outcome ?? '',
    headHash: context.headHash ?? '',
    workflowId: context.workflowId,
    runId: context.runId,
    time: new Date(context.atMs).toISOString(),
    temporalUi: temporalLink(context, links),
    report: '',
    key,
  };
  const report = links.report === null ? '' : fillText(links.report, values, encodeURIComponent);
  return { ...values, report };
}

function temporalLink({ workflowId, runId }: EffectContext, links: EffectLinks): string {
  if (links.temporalUi === null) return '';
  const parts = ['namespaces', links.namespace, 'workflows', workflowId, runId].map(encodeURIComponent);
  return `${links.temporalUi.replace(/\/+$/, '')}/${parts.join('/')}`;
}
