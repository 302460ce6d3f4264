import { type Command, Option } from 'commander';
import { ATTESTATION_ITEMS, type AttestationItem, type TokenRatioRange } from '../../core/plan/assess-plan';
import { amount, fraction, positive } from '../options/option-value';
import {
  attestations,
  collected,
  instant,
  lengths,
  monthDays,
  pairs,
  part,
  price,
  ratio,
  webAddress,
} from './assess-value';

/** What `cutover assess` was asked for. */
export interface AssessOptions {
  readonly plan?: string;
  readonly route?: string;
  readonly config?: string;
  readonly format?: string;
  readonly mappingFile?: string[];
  readonly maxRejects: number;
  readonly from?: number;
  readonly to?: number;
  readonly days: number;
  readonly fetchOpenai?: boolean;
  readonly openaiUrl?: string;
  readonly legacy?: string;
  readonly candidate?: string;
  readonly mapping?: Map<string, string>;
  readonly prices?: string[];
  readonly candidatePrice?: { input: number; cachedInput?: number; output: number };
  readonly tokenizerRatio?: TokenRatioRange;
  readonly parity?: string;
  readonly warmUpDays: number;
  readonly candidateUrl?: string;
  readonly key?: string;
  readonly ask?: boolean;
  readonly contextLength?: Map<string, number>;
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly measuredP50?: number;
  readonly maxP50?: number;
  readonly maxErrorRate?: number;
  readonly minSaving?: number;
  readonly attest?: { item: AttestationItem; holds: boolean }[];
  readonly by?: string;
  readonly json?: boolean;
  readonly markdown?: string;
  readonly html?: string;
}

/** Options whose values a plan has. */
const GIVEN_BY_PLAN: (keyof AssessOptions)[] = [
  'route',
  'format',
  'mappingFile',
  'maxRejects',
  'from',
  'to',
  'days',
  'legacy',
  'candidate',
  'mapping',
  'prices',
  'candidatePrice',
  'tokenizerRatio',
  'parity',
  'warmUpDays',
  'candidateUrl',
  'contextLength',
  'requestsPerMinute',
  'tokensPerMinute',
  'measuredP50',
  'maxP50',
  'maxErrorRate',
  'minSaving',
  'attest',
  'by',
];

/** Adds the options of `cutover assess`. */
export function addAssessOptions(command: Command): Command {
  return command
    .argument('[files...]', 'usage logs: CSV, JSON, JSON lines, Parquet, zip; globs and .gz too')
    .addOption(
      new Option(
        '--plan <file>',
        "assess as this plan's migration would; FILES replace the logs that it names",
      ).conflicts(GIVEN_BY_PLAN),
    )
    .option('--route <name>', 'take providers, model mapping and prices from this route of the configuration')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option('--format <name>', 'the format of the files (default: detected from their content)')
    .option('--mapping-file <file>', 'a usage mapping of your own, YAML or JSON; repeatable', collected)
    .option('--max-rejects <part>', 'part of the rows that may be rejected', part, 0.01)
    .option('--from <time>', 'start of the window, ISO 8601', instant)
    .option('--to <time>', 'end of the window', instant)
    .option('--days <days>', 'days up to the last record, without --from', positive, 30)
    .option('--fetch-openai', 'also fetch organization usage and costs from OpenAI, with --key')
    .option(
      '--openai-url <url>',
      "OpenAI's organization API, such as through a proxy (default: https://api.openai.com/v1/organization)",
      webAddress,
    )
    .option('--legacy <provider>', 'whose prices hold now (default: whoever lists the model)')
    .option('--candidate <provider>', 'whose prices would hold')
    .option(
      '--mapping <old=new>',
      'a model of legacy and the candidate’s; repeatable (default: same names)',
      pairs,
    )
    .option('--prices <book>', 'a price book, YAML or JSON; repeatable, earlier ones win', collected)
    .option(
      '--candidate-price <input,output[,cached]>',
      'dollars per million tokens for every mapped model',
      price,
    )
    .option(
      '--tokenizer-ratio <low:point:high>',
      'candidate tokens per token of legacy, input and output alike',
      ratio,
    )
    .addOption(
      new Option('--parity <report>', 'take those ratios from a report of `cutover parity --json`').conflicts(
        ['tokenizerRatio'],
      ),
    )
    .option('--warm-up-days <days>', 'days per month of cold prompt cache, at worst', monthDays, 7)
    .option('--candidate-url <url>', 'ask this OpenAI-compatible endpoint, with --key', webAddress)
    .option(
      '--ask',
      'ask the candidate for models and limits, and probe each feature in use; as --route does',
    )
    .option('--no-ask', 'with --route: send the candidate nothing')
    .option('--key <reference>', 'env:NAME or file:/path of the key of --candidate-url or --fetch-openai')
    .option('--context-length <model=tokens>', 'context of a candidate model; repeatable', lengths)
    .option('--requests-per-minute <limit>', "the candidate's limit", positive)
    .option('--tokens-per-minute <limit>', "the candidate's limit", positive)
    .option('--measured-p50 <ms>', "the candidate's p50, from probes", amount)
    .option('--max-p50 <ms>', "the plan's target", amount)
    .option('--max-error-rate <part>', "the plan's target", fraction)
    .option('--min-saving <percent>', 'reject below this saving', amount)
    .option(
      '--attest <item=yes|no>',
      `what you vouch for, with --by: ${ATTESTATION_ITEMS.join(', ')}; repeatable`,
      attestations,
    )
    .option('--by <name>', 'who attests')
    .option('--json', 'print the report as one JSON document')
    .option('--markdown <file>', 'write the report as Markdown; - for standard output')
    .option('--html <file>', 'write the report as one self-contained page');
}
