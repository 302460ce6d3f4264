import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { configurationSchema } from '../../core/configuration/configuration-schema';
import { planSchema } from '../../core/plan/plan-schema';
import { fileProblem } from '../../core/text/file-problem';
import { CliError, EXIT } from '../options/cli-error';
import { routeOf } from '../options/connection';
import { printJson, printLine } from '../options/output';
import { registerPlanCheck } from './plan-check';
import { planTemplate } from './plan-template';

/** Adds `cutover plan init|check|schema`. */
export function registerPlan(program: Command): void {
  const plan = program.command('plan').description('write, check or describe a plan');
  plan.addHelpText(
    'after',
    '\nExamples:\n  cutover plan init chat\n  cutover plan check plan.yaml\n  cutover plan schema > plan.schema.json',
  );
  plan
    .command('init')
    .description('write a plan with every default and what it means')
    .argument('[route]', 'the route to move; optional if only one is configured')
    .option('--out <file>', 'where to write it; never over a file that is there', 'plan.yaml')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  cutover plan init chat --out plans/chat.yaml')
    .action(initPlan);
  registerPlanCheck(plan);
  plan
    .command('schema')
    .description('print the JSON Schema of plans, for editors')
    .option('--configuration', 'of cutover.yaml instead')
    .option('--json', 'is accepted and changes nothing: the schema is JSON')
    .addHelpText('after', '\nExample:\n  cutover plan schema --configuration > cutover.schema.json')
    .action(printSchema);
}

function initPlan(given: string | undefined, flags: { readonly out: string; readonly json?: boolean }): void {
  const name = routeOf(given, {});
  try {
    writeFileSync(flags.out, planTemplate(name), { flag: 'wx' });
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const why = isThere ? 'it is there already; --out names another file' : fileProblem(cause);
    throw new CliError(`cannot write ${flags.out}: ${why}`, EXIT.badInput, { cause });
  }
  if (flags.json === true) printJson({ route: name, file: flags.out });
  else printLine(`wrote ${flags.out}: edit it, then \`cutover plan check ${flags.out}\``);
}

function printSchema(flags: { readonly configuration?: boolean }): void {
  const schema = flags.configuration === true ? configurationSchema : planSchema;
  printLine(JSON.stringify(z.toJSONSchema(schema, { io: 'input' }), null, 2));
}
