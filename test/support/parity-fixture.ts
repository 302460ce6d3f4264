import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createProviderProbes } from '../../src/adapters/openai/provider-probe';
import { createParityRuns } from '../../src/adapters/parity-runs';
import type { ParityProgress, ParityReport } from '../../src/core/assessment/parity-report';
import { type Configuration, configurationSchema } from '../../src/core/configuration/configuration-schema';
import { PARITY_MARGINS } from '../../src/core/plan/schema/parity-schema';
import type { ParityRequest } from '../../src/ports';
import { calls, type ScriptedAnswer, type ScriptedRequest, says } from './providers/scripted-provider';

/** A configuration with a route `chat` between two providers. */
export function chatConfiguration(
  legacyUrl: string,
  candidateUrl: string,
  parameters: object = {},
  legacyParameters?: object,
): Configuration {
  const prices = { 'gpt-4o': { inputPerMillion: 10, outputPerMillion: 100 } };
  return configurationSchema.parse({
    providers: {
      old: { baseUrl: legacyUrl, prices },
      new: { baseUrl: candidateUrl, prices: { large: prices['gpt-4o'] } },
    },
    routes: {
      chat: {
        legacy: 'old',
        candidate: 'new',
        models: { 'gpt-4o': { candidate: 'large', parameters, legacyParameters } },
      },
    },
  });
}

const LOOKUP = {
  type: 'function',
  function: {
    name: 'lookup',
    parameters: {
      type: 'object',
      properties: { key: { type: 'string' }, limit: { type: 'integer' } },
      required: ['key'],
      additionalProperties: false,
    },
  },
};

const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string' }, count: { type: 'integer' } },
  required: ['name', 'count'],
  additionalProperties: false,
};

export type GoldenKind = 'tools' | 'json' | 'text' | 'embeddings';

/** Golden prompts, so many of each kind: to be answered by a tool, in JSON, in words, by a vector. */
export function goldenLines(
  each: number,
  kinds: readonly GoldenKind[] = ['tools', 'json', 'text', 'embeddings'],
): string {
  const lines = Array.from({ length: each }, (_, index) => [
    {
      id: `tool-${index}`,
      stratum: 'tools',
      messages: [{ role: 'user', content: `look up ${index}` }],
      tools: [LOOKUP],
    },
    {
      id: `json-${index}`,
      stratum: 'json',
      messages: [{ role: 'user', content: `describe ${index}` }],
      responseFormat: { type: 'json_schema', json_schema: { name: 'thing', schema: SCHEMA } },
    },
    {
      id: `text-${index}`,
      stratum: 'text',
      messages: [{ role: 'user', content: `explain ${index}` }],
      maxTokens: 100,
    },
    { id: `embed-${index}`, stratum: 'embeddings', input: `thing ${index}` },
  ]);
  const wanted = lines.flat().filter(({ stratum }) => kinds.includes(stratum as GoldenKind));
  return `${wanted.map((line) => JSON.stringify(line)).join('\n')}\n`;
}

const SUBJECTS = ['the river', 'a ladder', 'the old bridge', 'that window', 'this garden', 'our harbour'];

/** A provider that answers golden prompts as one should. */
export function wellAnswered({ body, said }: ScriptedRequest): ScriptedAnswer {
  const number = Number(/\d+/.exec(said)?.[0] ?? 0);
  if (body['input'] !== undefined) return { vectors: [[1, number / 10, 0.5, -0.25]] };
  if (body['tools'] !== undefined) return calls('lookup', { key: `k${number}`, limit: 3 });
  if (body['response_format'] !== undefined)
    return says(JSON.stringify({ name: `n${number}`, count: number }));
  const subject = SUBJECTS[number % SUBJECTS.length];
  return says(
    `It is said of ${subject} that it was built with care, and that the people who came to see it ${number} times were glad for it.`,
  );
}

const PARITY_REQUEST: ParityRequest = {
  route: 'chat',
  reuse: 'all',
  golden: 'golden.jsonl',
  maxCostUsd: null,
  concurrency: 8,
  timeoutMs: 5_000,
  minimumPrompts: 30,
  margins: PARITY_MARGINS,
};

/** A folder with golden prompts in it, and what runs them. */
export function parityWorld(configuration: Configuration, golden: string) {
  const directory = mkdtempSync(join(tmpdir(), 'cutover-parity-'));
  writeFileSync(join(directory, 'golden.jsonl'), golden);
  const providers = createProviderProbes({
    configuration,
    resolveSecret: () => 'none',
    now: () => performance.now(),
  });
  const portFor = (answers: string) =>
    createParityRuns(configuration, providers, { golden: directory, answers: resolve(directory, answers) });
  return {
    directory,
    providers,
    portFor,
    run: (
      said: Partial<ParityRequest> = {},
      hooks: {
        answers?: string;
        standing?: ParityProgress;
        report?: (standing: ParityProgress) => void;
      } = {},
    ): Promise<ParityReport> =>
      portFor(hooks.answers ?? 'answers').run(
        { ...PARITY_REQUEST, ...said },
        {
          signal: new AbortController().signal,
          standing: hooks.standing ?? null,
          report: hooks.report ?? (() => undefined),
        },
      ),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
