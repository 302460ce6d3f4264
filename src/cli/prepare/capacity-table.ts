import type { CheckedClaim } from '../../capacity/article-claims';
import type { CapacityPlan, CapacityQuestion, FormatPlan } from '../../capacity/capacity-plan';
import { printLine, printTable } from '../options/output';

/** Prints a capacity plan as tables. */
export function printCapacityPlan(plan: CapacityPlan, question: CapacityQuestion): void {
  printLine(plan.attention === null ? plan.model : `${plan.model} (${plan.attention})`);
  if (plan.parameters !== null) {
    const { byPart, main, prediction, activePerToken, activeWithoutEmbedding } = plan.parameters;
    printLine();
    printTable(
      ['parameters', 'billions', 'exact'],
      [
        ...Object.entries(byPart)
          .filter(([, count]) => count > 0)
          .map(([part, count]): [string, number] => [`  ${part}`, count]),
        ['main model', main] as const,
        ...(prediction > 0 ? [['multi-token prediction', prediction] as const] : []),
        ['active per token', activePerToken] as const,
        ['  without the embedding', activeWithoutEmbedding] as const,
      ].map(([label, count]) => [label, (count / 1e9).toFixed(3), integer(count)]),
    );
  }
  printCheckpoint(plan);
  if (plan.cache !== null) {
    const { format, bytesPerToken, bytesPerTokenAsMultiHead } = plan.cache;
    printLine();
    printLine(`KV cache per token (${format}): ${integer(bytesPerToken)} B`);
    if (plan.attention === 'MLA') {
      const times = Math.round(bytesPerTokenAsMultiHead / bytesPerToken);
      printLine(
        `  counted as multi-head attention it would be ${integer(bytesPerTokenAsMultiHead)} B, ${times} times too much; tensor parallelism keeps a copy on every rank`,
      );
    }
  }
  if (plan.formats.length > 0) printFits(plan.formats, question);
  printTraining(plan, question);
  printCost(plan.formats);
}

function printCheckpoint(plan: CapacityPlan): void {
  if (plan.checkpoint !== null) {
    const { parameters, predictionParameters, bytes, elementsByDtype, scaleElements, tensors } =
      plan.checkpoint;
    printLine();
    printLine(
      `checkpoint: ${integer(tensors)} tensors, ${size(bytes)}, ` +
        (parameters === null
          ? 'packed weights (parameters not in the header)'
          : `${integer(parameters)} parameters`) +
        (predictionParameters ? ` + ${integer(predictionParameters)} in prediction layers` : '') +
        (scaleElements > 0 ? `, ${integer(scaleElements)} scales apart` : ''),
    );
    printTable(
      ['dtype', 'elements'],
      Object.entries(elementsByDtype).map(([dtype, count]) => [dtype, integer(count)]),
    );
  }
  if (plan.fp8Checkpoint !== null) {
    const { elements, scaleElements, bytes, bytesWithoutPrediction } = plan.fp8Checkpoint;
    printLine();
    printLine(
      `FP8 checkpoint: ${integer(elements)} elements + ${integer(scaleElements)} scales = ${size(bytes)}; without prediction layers ${size(bytesWithoutPrediction)}`,
    );
  }
}

function printFits(formats: readonly FormatPlan[], question: CapacityQuestion): void {
  printLine();
  printLine(
    `serving ${question.concurrency} requests of ${integer(question.contextTokens)} tokens at ${question.utilization} of memory (tensor parallel, whole nodes)`,
  );
  printTable(
    ['weights', 'size', 'GPU', 'at least', 'deploy', 'weights/GPU', 'KV/GPU', 'spare/GPU', 'max tokens held'],
    formats.flatMap(({ format, weightBytes, fits }) =>
      fits.map((fit) => [
        format === 'fp8' && !fit.fp8Compute ? 'fp8 (stored only, W8A16)' : format,
        size(weightBytes),
        fit.gpu,
        String(fit.floorGpus),
        fit.gpus === null
          ? 'does not fit 64 nodes'
          : `${fit.gpus} (${fit.nodes} node${fit.nodes === 1 ? '' : 's'})`,
        gib(fit.weightsMibPerGpu),
        gib(fit.cacheMibPerGpu),
        gib(fit.spareMibPerGpu),
        fit.maxContextTokens === null ? '-' : integer(fit.maxContextTokens),
      ]),
    ),
  );
}

function printTraining(plan: CapacityPlan, question: CapacityQuestion): void {
  if (plan.training === null) return;
  const { recipes, activationBytes } = plan.training;
  printLine();
  printLine(`training, before activations (d = ${question.dataParallel})`);
  printTable(
    ['recipe', 'bytes a parameter', 'over all', 'on each rank'],
    recipes.map((recipe) => [
      recipe.name,
      `${recipe.bytesPerParameter} = ${recipe.parts}`,
      tera(recipe.totalBytes),
      tera(recipe.bytesPerRank),
    ]),
  );
  if (activationBytes !== null) {
    printLine(
      `activations of ${question.microBatch} x ${integer(question.sequenceTokens)} tokens, about: ${size(activationBytes.none)} kept, ${size(activationBytes.full)} with full recomputation`,
    );
  }
}

function printCost(formats: readonly FormatPlan[]): void {
  const rows = formats.flatMap(({ format, fits }) =>
    fits.flatMap(({ gpu, gpus, cost }) =>
      cost === null
        ? []
        : [
            [
              `${format} on ${gpus} x ${gpu}`,
              `$${cost.costPerHourUsd.toFixed(2)}`,
              `$${cost.costPerMonthUsd.toFixed(0)}`,
              cost.costPerMillionTokensUsd === null ? '-' : `$${cost.costPerMillionTokensUsd.toFixed(3)}`,
              cost.breakEvenTokensPerSecond === null
                ? '-'
                : `${integer(Math.ceil(cost.breakEvenTokensPerSecond))} tokens/s`,
              cost.breakEvenMillionTokensPerMonth === null
                ? '-'
                : `${integer(Math.ceil(cost.breakEvenMillionTokensPerMonth))} M tokens`,
              breakEvenInWords(cost.breakEvenUtilization),
            ],
          ],
    ),
  );
  if (rows.length === 0) {
    if (formats.length > 0) {
      printLine();
      printLine('cost: not computed; give --gpu-hour-usd, --tokens-per-second and --api-price');
    }
    return;
  }
  printLine();
  printTable(
    [
      'cost',
      'an hour',
      '30 days',
      'a million tokens',
      'break-even speed',
      'break-even a month',
      'at your throughput',
    ],
    rows,
  );
}

function breakEvenInWords(utilization: number | null): string {
  if (utilization === null) return '-';
  if (utilization > 1) return `never: it would need ${utilization.toFixed(1)} times the throughput`;
  return `busy ${(utilization * 100).toFixed(0)}% of the time`;
}

/** Prints the source article's claims, each with its verdict. */
export function printClaims(claims: readonly CheckedClaim[]): void {
  for (const { claim, ours, verdict } of claims) {
    printLine(`${verdict.toUpperCase()}: ${claim}`);
    printLine(`  ${ours}`);
  }
}

function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function size(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB (${(bytes / 2 ** 30).toFixed(1)} GiB)`;
}

function gib(mib: number | null): string {
  return mib === null ? '-' : `${(mib / 1024).toFixed(1)} GiB`;
}

function tera(bytes: number): string {
  return bytes >= 1e12 ? `${(bytes / 1e12).toFixed(2)} TB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
