import { isDeepStrictEqual } from 'node:util';
import { type Command, InvalidArgumentError } from 'commander';
import { createEffectTargets } from '../../adapters/create-ports';
import type { EffectTargets } from '../../adapters/effect-targets';
import { configurationPath, loadConfiguration, resolveSecret } from '../../config';
import { workflowIdOf } from '../../contract';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { shareSchema } from '../../core/configuration/schema-parts';
import type { EffectContext, Json, PlannedEffect } from '../../core/effects/effect';
import { CliError, EXIT } from '../options/cli-error';
import { operatorName } from '../options/operator-name';
import { printJson, printLine, printNote } from '../options/output';

interface TestFlags {
  readonly set: Json;
  readonly share: number;
  readonly restore?: boolean;
  readonly config?: string;
  readonly json?: boolean;
}

/** What was seen; fields that do not fit the target are absent. */
interface Trial {
  readonly name: string;
  readonly type: string;
  readonly captured?: Json;
  readonly applied?: string;
  readonly restored?: string;
  readonly asBefore?: boolean;
  readonly answer?: string;
  readonly note?: string;
}

/** Adds `cutover effects test`. */
export function registerEffects(program: Command): void {
  const effects = program
    .command('effects')
    .description('try the other systems that a plan changes or notifies: DNS, flags, channels')
    .addHelpText('after', '\nExample:\n  cutover effects test team-channel');
  effects
    .command('test')
    .description('do one configured effect for real, by hand: capture, set, verify, restore')
    .argument('<name>', 'an effect of the configuration')
    .option('--set <json>', 'what to set, as in the plan', json, {})
    .option('--share <share>', 'the share that variables say, such as 10%', share, 0.1)
    .option('--restore', 'go back to what was captured, and check it')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nIt changes the real target. Exit code 4: it could not be reached; 5: it refused, or the gate did not say yes.\n' +
        '\nExamples:\n  cutover effects test team-channel\n' +
        '  cutover effects test assistant-flag --set \'{"flag":"candidate"}\' --share 10% --restore',
    )
    .action(test);
}

async function test(name: string, flags: TestFlags): Promise<void> {
  const configuration = loadConfiguration(configurationPath(flags.config));
  const type = configuration.effects[name]?.type;
  if (type === undefined) {
    const known = Object.keys(configuration.effects).join(', ') || 'none is configured';
    throw new CliError(`expected one of the effects (${known}), got "${name}"`, EXIT.badInput);
  }
  const targets = createEffectTargets(configuration, resolveSecret);
  const context = contextOf(configuration, flags.share);
  const key = `test-${context.migrationId}:${name}`;
  const signal = new AbortController().signal;
  const trial: Trial =
    type === 'confirm'
      ? { name, type, ...(await targets.confirm({ name, key, context }, signal)) }
      : { name, type, ...(await tryEffect(targets, { name, set: flags.set }, key, context, flags, signal)) };
  if (flags.json === true) printJson(trial);
  else printTrial(trial);
  if (trial.asBefore === false) {
    throw new CliError(`${name} is not as it was before: see above`, EXIT.negative);
  }
  if (type === 'confirm' && trial.answer !== 'yes')
    throw new CliError(`${name} did not say yes`, EXIT.negative);
}

async function tryEffect(
  targets: EffectTargets,
  effect: PlannedEffect,
  key: string,
  context: EffectContext,
  flags: TestFlags,
  signal: AbortSignal,
): Promise<Omit<Trial, 'name' | 'type'>> {
  const captured = await targets.capture(effect, context, signal);
  if (flags.json !== true)
    printNote(`captured, to put back by hand if this breaks off: ${JSON.stringify(captured)}`);
  const applied = await targets.apply(effect, key, context, signal);
  if (flags.restore !== true) return { captured, applied };
  const restored = await targets.restore(effect, captured, `${key}:restore`, context, signal);
  const after = await targets.capture(effect, context, signal);
  return { captured, applied, restored, asBefore: isDeepStrictEqual(after, captured) };
}

function contextOf({ routes }: Configuration, toShare: number): EffectContext {
  const [route = 'none'] = Object.keys(routes);
  const atMs = Date.now();
  return {
    route,
    migrationId: `${route}-${new Date(atMs).toISOString().replace(/[-:.]/g, '').toLowerCase()}`,
    moment: 'stage entered',
    stage: 'test',
    share: toShare,
    fromShare: 0,
    epoch: 0,
    checkpoint: 0,
    by: operatorName(),
    reason: 'tried by hand with `cutover effects test`',
    outcome: null,
    headHash: null,
    workflowId: workflowIdOf(route),
    runId: 'none',
    atMs,
  };
}

function printTrial(trial: Trial): void {
  const { applied, restored, asBefore, answer, note } = trial;
  if (applied !== undefined) printLine(`set: ${applied}`);
  if (restored !== undefined) printLine(`restored: ${restored}`);
  if (asBefore !== undefined) printLine(asBefore ? 'as it was before' : 'NOT as it was before');
  if (answer !== undefined) printLine(`answer: ${answer}${note === '' ? '' : `; ${note}`}`);
}

function json(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new InvalidArgumentError('expected JSON such as {"flag":"candidate"}');
  }
}

function share(text: string): number {
  const parsed = shareSchema.safeParse(/%$/.test(text) ? text : Number(text));
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError('expected a share such as 10% or 0.1');
}
