import { type Command, InvalidArgumentError, Option } from 'commander';
import { checkArticleClaims } from '../../capacity/article-claims';
import { type CapacityQuestion, planCapacity } from '../../capacity/capacity-plan';
import { GPUS, type Gpu } from '../../capacity/gpu';
import { type ModelSource, readModelSource } from '../../capacity/model-source';
import { BadInput } from '../../core/configuration/bad-input';
import { CliError, EXIT } from '../options/cli-error';
import { amount, fraction, positive } from '../options/option-value';
import { printJson, printLine, printNote } from '../options/output';
import { printCapacityPlan, printClaims } from './capacity-table';

interface CapacityOptions {
  readonly config?: string;
  readonly gpu?: Gpu[];
  readonly utilization: number;
  readonly context: number;
  readonly concurrency: number;
  readonly kvFormat: 'bf16' | 'fp8';
  readonly dataParallel: number;
  readonly sequence: number;
  readonly microBatch: number;
  readonly gpuHourUsd?: number;
  readonly tokensPerSecond?: number;
  readonly apiPrice?: number;
  readonly checkArticle?: boolean;
  readonly json?: boolean;
}

/** Adds `cutover capacity`: what serving or training a model oneself takes, and where it breaks even. */
export function registerCapacity(program: Command): void {
  program
    .command('capacity')
    .description('plan self-hosting: parameters, weights, KV cache, GPUs, training memory, break-even')
    .argument(
      '[model]',
      'a built-in model (deepseek-v3, ...), or the path or URL of a config.json, a .safetensors file or its index',
    )
    .option('--config <file>', 'config.json of a checkpoint, if it is not next to it')
    .option(
      '--gpu <name[=MiB]>',
      'a GPU to plan for, repeatable; name=MiB for one not listed (default: all known)',
      gpus,
    )
    .option('--utilization <part>', 'part of GPU memory for weights and cache', fraction, 0.9)
    .option('--context <tokens>', 'context length of each request', positive, 8192)
    .option('--concurrency <requests>', 'concurrent requests', positive, 32)
    .addOption(new Option('--kv-format <format>', 'KV cache format').choices(['bf16', 'fp8']).default('bf16'))
    .option('--data-parallel <ranks>', 'data-parallel degree of training', positive, 8)
    .option('--sequence <tokens>', 'sequence length of training', positive, 4096)
    .option('--micro-batch <sequences>', 'sequences in a training micro-batch', positive, 1)
    .option('--gpu-hour-usd <usd>', 'price of one GPU per hour', amount)
    .option('--tokens-per-second <tokens>', 'throughput of a whole deployment', amount)
    .option(
      '--api-price <usd>',
      "the API's price per million tokens, for your mix of input and output",
      amount,
    )
    .option('--check-article', "the source article's claims next to what is computed here")
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  cutover capacity deepseek-v3\n' +
        '  cutover capacity deepseek-v3 --gpu H200 --gpu-hour-usd 3 --tokens-per-second 6000 --api-price 0.42\n' +
        '  cutover capacity ./model.safetensors.index.json --context 32768',
    )
    .action(runCapacity);
}

async function runCapacity(location: string | undefined, options: CapacityOptions): Promise<void> {
  const claims = options.checkArticle === true ? checkArticleClaims() : null;
  if (location === undefined) {
    if (claims === null) {
      throw new CliError('expected a model, e.g. `cutover capacity deepseek-v3`', EXIT.badInput);
    }
    if (options.json === true) printJson({ claims });
    else printClaims(claims);
    return;
  }
  const question: CapacityQuestion = {
    gpus: options.gpu ?? GPUS,
    utilization: options.utilization,
    contextTokens: options.context,
    concurrency: options.concurrency,
    cacheFormat: options.kvFormat,
    dataParallel: options.dataParallel,
    sequenceTokens: options.sequence,
    microBatch: options.microBatch,
    gpuHourUsd: options.gpuHourUsd ?? null,
    tokensPerSecond: options.tokensPerSecond ?? null,
    apiUsdPerMillionTokens: options.apiPrice ?? null,
  };
  const plan = planCapacity(await readSource(location, options), question);
  if (options.json === true) {
    printJson(claims === null ? plan : { ...plan, claims });
    return;
  }
  printCapacityPlan(plan, question);
  if (claims !== null) {
    printLine();
    printClaims(claims);
  }
}

async function readSource(location: string, options: CapacityOptions): Promise<ModelSource> {
  const started = Date.now();
  try {
    return await readModelSource(location, {
      ...(options.config === undefined ? {} : { configLocation: options.config }),
      progress: (done, all) => {
        if (Date.now() - started > 2000) printNote(`read ${done} of ${all} shard headers`);
      },
    });
  } catch (cause) {
    if (cause instanceof BadInput) throw new CliError(cause.message, EXIT.badInput, { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(`cannot read ${location.replace(/\?.*/, '')}: ${reason}`, EXIT.unreachable, { cause });
  }
}

function gpus(value: string, before: Gpu[] | undefined): Gpu[] {
  const [name = '', mib] = value.split('=');
  const known = GPUS.find((gpu) => gpu.name.toLowerCase() === name.toLowerCase());
  if (mib === undefined) {
    if (known !== undefined) return [...(before ?? []), known];
    throw new InvalidArgumentError(
      `expected one of ${GPUS.map((gpu) => gpu.name).join(', ')}, or NAME=MiB as nvidia-smi shows it`,
    );
  }
  return [...(before ?? []), { name, memoryMib: positive(mib), perNode: 8, fp8Compute: true }];
}
