import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'openai';
import type { Question } from '../../core/assessment/question';
import type {
  Configuration,
  ProviderConfiguration,
  RouteConfiguration,
} from '../../core/configuration/configuration-schema';
import { keyReferenceOf } from '../../core/configuration/provider-schema';
import { followRules, type RequestRules } from '../../core/configuration/request-rules';
import { InvalidDocument } from '../../core/configuration/schema-parts';
import type { FailureClass } from '../../core/evidence/evidence';
import type { Arm } from '../../core/routing/routing';
import { guardedFetch } from '../../guarded-fetch';
import { messagesFetch } from '../anthropic/messages-fetch';

/** Sent with every request of our own, so that a provider's own log tells probes from users. */
export const PROBE_HEADER = 'x-cutover-probe';

/** A route of the configuration; throws `InvalidDocument` for one that it does not have. */
export function configuredRoute(configuration: Configuration, name: string): RouteConfiguration {
  const route = Object.hasOwn(configuration.routes, name) ? configuration.routes[name] : undefined;
  if (route !== undefined) return route;
  const known = Object.keys(configuration.routes).join(', ');
  throw new InvalidDocument('the configuration', [
    { path: 'routes', message: `expected a route "${name}", got only ${known}` },
  ]);
}

/** Where a provider is and how it is spoken to. */
export type ProviderEndpoint = Pick<ProviderConfiguration, 'baseUrl' | 'auth' | 'headers' | 'query'> &
  Partial<Pick<ProviderConfiguration, 'dialect'>>;

/** The version of Anthropic's API that our own questions are written in, unless the configuration names another. */
const ANTHROPIC_VERSION = '2023-06-01';

/**
 * The official client of a provider, and the only one there is. `maxRetries` is 0: those who call decide what is worth
 * a second try, and a retried probe would hide what it looks for. `marked` false: nothing says that a request is a
 * probe. Throws `UnresolvedSecret`.
 */
export function providerClient(
  provider: ProviderEndpoint,
  resolveSecret: (reference: string) => string,
  timeoutMs: number,
  { marked = true }: { readonly marked?: boolean } = {},
): OpenAI {
  const { auth } = provider;
  const isAnthropic = provider.dialect === 'anthropic';
  const defaultHeaders: Record<string, string | null> = {
    ...(isAnthropic ? { 'anthropic-version': ANTHROPIC_VERSION } : {}),
    ...lowerCaseNames(provider.headers),
    ...(marked ? { [PROBE_HEADER]: '1' } : {}),
  };
  const defaultQuery: Record<string, string> = { ...provider.query };
  let apiKey = 'none';
  if (auth === undefined) defaultHeaders['authorization'] = null;
  else if ('bearer' in auth) apiKey = resolveSecret(auth.bearer);
  else {
    defaultHeaders['authorization'] = null;
    if ('header' in auth) defaultHeaders[auth.header] = resolveSecret(auth.key);
    else defaultQuery[auth.query] = resolveSecret(auth.key);
  }
  return new OpenAI({
    baseURL: provider.baseUrl,
    apiKey,
    organization: null,
    project: null,
    defaultHeaders,
    defaultQuery,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: 'off',
    fetch: isAnthropic ? messagesFetch(guardedFetch) : guardedFetch,
  });
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** What a request is for: embeddings are asked of another model than chats, where the route maps both. */
type Purpose = Question['kind'];

interface ModelChoice {
  /** As callers name it; the first that the route maps for the purpose when null. */
  readonly model: string | null;
  readonly purpose: Purpose;
}

interface ProviderModel {
  readonly name: string;
  readonly parameters: RequestRules | null;
}

/** A request's body as one provider gets it: its model, and what the gateway renames, drops and sets for it. */
export function bodyForProvider<T extends object>(
  route: RouteConfiguration,
  provider: Arm,
  asked: ModelChoice,
  body: T,
): T {
  const { name, parameters } = providerModel(route, provider, asked);
  const ruled = parameters === null ? body : followRules(body, parameters);
  return { ...ruled, model: name } as T;
}

/** The model that a question is sent to, as that provider names it, and how its parameters change on the way. */
export function modelAtProvider(route: RouteConfiguration, provider: Arm, question: Question): ProviderModel {
  return providerModel(route, provider, { model: question.model, purpose: question.kind });
}

/** The model that a chat is sent to, as a provider names it; null for the first that the route maps. */
export function modelOfRoute(route: RouteConfiguration, provider: Arm, model: string | null): string {
  return providerModel(route, provider, { model, purpose: 'chat' }).name;
}

function providerModel(route: RouteConfiguration, provider: Arm, asked: ModelChoice): ProviderModel {
  const model = asked.model ?? mappedModel(route, asked.purpose);
  const mapping = Object.hasOwn(route.models, model) ? route.models[model] : undefined;
  return provider === 'legacy' || mapping === undefined
    ? { name: model, parameters: mapping?.legacyParameters ?? null }
    : { name: mapping.candidate, parameters: mapping.parameters };
}

/** The first model that the route maps for a purpose, as callers name it. */
function mappedModel(route: RouteConfiguration, purpose: Purpose): string {
  const models = Object.keys(route.models);
  const fits = (model: string) => /embed/i.test(model) === (purpose === 'embedding');
  return models.find(fits) ?? models[0] ?? 'none';
}

/** An answer that is not what the API promises. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** Where a provider's key comes from; never the key. */
export function keyReference({ auth }: Pick<ProviderEndpoint, 'auth'>): string | null {
  return auth === undefined ? null : keyReferenceOf(auth);
}

/** Class and status only, and whose key was refused: by its reference, never the key. */
export function failureText(error: unknown, name: string, provider: Pick<ProviderEndpoint, 'auth'>): string {
  const { text, status } = classifyFailure(error);
  if (status !== 401 && status !== 403) return text;
  const key = keyReference(provider);
  return `${text}: ${name} ${key === null ? 'needs a key, and none is configured' : `refuses the key of ${key}`}`;
}

/** Class and status only: messages of providers may carry addresses, and history keeps them for ever. */
export function classifyFailure(error: unknown): {
  readonly failure: FailureClass;
  readonly text: string;
  readonly status: number | null;
} {
  const { failure, detail, status = null } = classify(error);
  return { failure, status, text: detail === '' ? failure : `${failure} (${detail})` };
}

/** Whether a request that failed may have to be paid: not where a provider refused it or was never reached. */
export function mayHaveCost(error: unknown): boolean {
  if (error instanceof APIError && typeof error.status === 'number') return false;
  return !UNREACHED.has(codeOf(error));
}

const UNREACHED = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'],
  'UND_ERR_CONNECT_TIMEOUT',
]);

function classify(error: unknown): { failure: FailureClass; detail: string; status?: number } {
  if (error instanceof Malformed) return { failure: 'malformed', detail: error.message };
  if (error instanceof APIUserAbortError) return { failure: 'timeout', detail: 'stopped' };
  if (error instanceof APIConnectionTimeoutError) return { failure: 'timeout', detail: '' };
  if (error instanceof APIConnectionError) return { failure: 'connect', detail: codeOf(error) };
  if (error instanceof APIError && typeof error.status === 'number') {
    const { status } = error;
    const detail = `status ${status}`;
    if ([401, 402, 403].includes(status)) return { failure: 'status_auth', detail, status };
    if (status === 429) return { failure: 'status_429', detail, status };
    return { failure: status >= 500 ? 'status_5xx' : 'status_4xx', detail, status };
  }
  if (error instanceof APIError) return { failure: 'error_event', detail: '' };
  return { failure: 'malformed', detail: error instanceof SyntaxError ? 'no JSON' : codeOf(error) };
}

function codeOf(error: unknown): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
  }
  return '';
}
