import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Configuration, ProviderConfiguration } from '../core/configuration/configuration-schema';
import { InvalidDocument } from '../core/configuration/schema-parts';
import type { IdentityReply } from '../core/identity/identity-audit';
import type { IdentityQuestion } from '../core/identity/identity-questions';
import type { IdentityReference } from '../core/identity/identity-reference';
import { parseReference } from '../core/identity/identity-reference-schema';
import { fileProblem } from '../core/text/file-problem';
import type { IdentityPort } from '../ports';
import { askIdentity } from './openai/identity-question';
import { bodyForProvider, configuredRoute, modelOfRoute, providerClient } from './openai/provider-client';
import { providerInquiry } from './openai/provider-inquiry';

export interface IdentityOptions {
  readonly configuration: Configuration;
  readonly resolveSecret: (reference: string) => string;
}

/** A model as it is reached: by a route's candidate, with what the route changes on the way, or at a provider directly. */
export type SoldModel =
  | { readonly route: string; readonly model: string | null }
  | { readonly provider: string; readonly model: string };

/** A model that can be asked; a failure is a reply. */
export interface AskableModel {
  readonly provider: string;
  readonly model: string;
  ask(question: IdentityQuestion, limits: Limits): Promise<IdentityReply>;
  /** The context in tokens that the list of models names; null where it names none. */
  contextTokens(limits: Limits): Promise<number | null>;
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** References on this machine, and questions to candidates of routes through the official client. */
export function createIdentity(options: IdentityOptions, folder: string): IdentityPort {
  const models = new Map<string, AskableModel>();
  const modelOf = (route: string, model: string | null): AskableModel => {
    const key = JSON.stringify([route, model]);
    const known = models.get(key) ?? askableModel(options, { route, model });
    models.set(key, known);
    return known;
  };
  return {
    reference: (path) => readReferenceFile(resolve(folder, path)),
    ask: async (route, model, question, limits) => modelOf(route, model).ask(question, limits),
    contextTokens: async (route, model, limits) => modelOf(route, model).contextTokens(limits),
    draw: Math.random,
  };
}

/** A model of the configuration; throws `InvalidDocument` for a route or a provider that it does not have. */
export function askableModel(
  { configuration, resolveSecret }: IdentityOptions,
  sold: SoldModel,
): AskableModel {
  const { name, model, fitted } = placeOf(configuration, sold);
  const provider = configuration.providers[name] as ProviderConfiguration;
  const newNames = { current: false };
  return {
    provider: name,
    model,
    ask(question, { timeoutMs, signal }) {
      // Nothing says that these requests are probes: a relay must not know which ones to answer well.
      const client = providerClient(provider, resolveSecret, timeoutMs, { marked: false });
      return askIdentity({ client, fitted, newNames }, question, signal);
    },
    async contextTokens({ timeoutMs, signal }) {
      const { contextLengths } = await providerInquiry(provider, resolveSecret, timeoutMs).listModels(signal);
      return contextLengths.get(model) ?? null;
    },
  };
}

function placeOf(
  configuration: Configuration,
  sold: SoldModel,
): { readonly name: string; readonly model: string; readonly fitted: <T extends object>(body: T) => T } {
  if ('route' in sold) {
    const route = configuredRoute(configuration, sold.route);
    return {
      name: route.candidate,
      model: modelOfRoute(route, 'candidate', sold.model),
      fitted: (body) => bodyForProvider(route, 'candidate', { model: sold.model, purpose: 'chat' }, body),
    };
  }
  const { provider: name, model } = sold;
  if (!Object.hasOwn(configuration.providers, name)) {
    const known = Object.keys(configuration.providers).join(', ');
    throw new InvalidDocument('the configuration', [
      { path: 'providers', message: `expected a provider "${name}", got only ${known}` },
    ]);
  }
  return { name, model, fitted: (body) => ({ ...body, model }) };
}

/** Reads a reference file; throws `InvalidDocument`. */
export async function readReferenceFile(path: string): Promise<IdentityReference> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const message = `cannot be read: ${fileProblem(error)}; \`cutover identity enrol\` writes one`;
    throw new InvalidDocument(path, [{ path: '(file)', message }]);
  }
  return parseReference(text, path);
}
