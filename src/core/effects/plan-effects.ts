import type { Configuration, EffectTargetConfiguration } from '../configuration/configuration-schema';
import { type DocumentProblem, problemsOf } from '../configuration/document-problem';
import type { Plan } from '../plan/plan';
import { isWithinZone, recordProblem } from './dns-records';
import { effectsOf, type PlannedEffect } from './effect';
import { type DnsSet, EFFECT_SET_SCHEMAS } from './effect-schema';
import { fillText, TEMPLATE_VARIABLES, type TemplateValues } from './template';

/** What does not fit between a plan's effects and the configuration's targets; empty when everything does. */
export function planEffectProblems(
  plan: Plan,
  configuration: Pick<Configuration, 'effects'>,
): readonly DocumentProblem[] {
  const stages = plan.stages.flatMap((stage, index) => [
    ...effectsOf(stage).flatMap((effect, place) =>
      prefixed(`stages[${index}].effects[${place}]`, effectProblems(effect, configuration)),
    ),
    ...(stage.confirm ?? []).flatMap((name, place) =>
      nameProblems(`stages[${index}].confirm[${place}]`, name, configuration, ['confirm']),
    ),
  ]);
  const notify = (plan.notify ?? []).flatMap(({ name }, place) =>
    nameProblems(`notify[${place}].name`, name, configuration, ['slack', 'webhook']),
  );
  return [...stages, ...notify];
}

/** What is wrong with one effect; paths are below the effect. */
export function effectProblems(
  effect: PlannedEffect,
  configuration: Pick<Configuration, 'effects'>,
): readonly DocumentProblem[] {
  const types = Object.keys(EFFECT_SET_SCHEMAS) as (keyof typeof EFFECT_SET_SCHEMAS)[];
  const wrongName = nameProblems('name', effect.name, configuration, types);
  const target = configuration.effects[effect.name];
  if (wrongName.length > 0 || target === undefined || target.type === 'confirm') return wrongName;
  const schema = EFFECT_SET_SCHEMAS[target.type];
  const result = schema.safeParse(effect.set, { reportInput: true });
  if (!result.success) {
    return prefixed(
      'set',
      result.error.issues.flatMap((issue) => problemsOf(issue, effect.set, schema)),
    );
  }
  return target.type === 'dns' ? prefixed('set', dnsProblems(result.data as DnsSet, target.zone)) : [];
}

function nameProblems(
  path: string,
  name: string,
  { effects }: Pick<Configuration, 'effects'>,
  types: readonly EffectTargetConfiguration['type'][],
): DocumentProblem[] {
  const target = Object.hasOwn(effects, name) ? effects[name] : undefined;
  if (target !== undefined && types.includes(target.type)) return [];
  const fitting = Object.keys(effects).filter((known) => types.includes(effects[known]?.type ?? 'dns'));
  const known = fitting.join(', ') || 'there is none';
  const got = target === undefined ? `"${name}"` : `"${name}" of type ${target.type}`;
  return [
    {
      path,
      message: `expected one of the configuration's effects of type ${types.join(', ')} (${known}), got ${got}`,
    },
  ];
}

/** What a template may be filled with, to see whether what comes out can be a record. */
const SAMPLE: TemplateValues = {
  ...Object.fromEntries(TEMPLATE_VARIABLES.map((name) => [name, 'x'])),
  ...{ percent: 10, restPercent: 90, epoch: 1, checkpoint: 1 },
};

function dnsProblems(set: DnsSet, zone: string): DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  if (!isWithinZone(set.name, zone)) {
    problems.push({ path: 'name', message: `expected a name within the zone ${zone}, got "${set.name}"` });
  }
  set.values.forEach((value, index) => {
    const message = recordProblem(set.type, fillText(value, SAMPLE));
    if (message !== null) problems.push({ path: `values[${index}]`, message: `${message}, got "${value}"` });
  });
  if (set.type === 'CNAME' && set.values.length > 1) {
    problems.push({
      path: 'values',
      message: `expected one value: a CNAME stands alone, got ${set.values.length}`,
    });
  }
  return problems;
}

function prefixed(prefix: string, problems: readonly DocumentProblem[]): DocumentProblem[] {
  return problems.map(({ path, message }) => ({
    path: path === '(document)' ? prefix : `${prefix}.${path}`,
    message,
  }));
}
