import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { keyReference, type ProviderEndpoint, providerClient } from './provider-client';

/** What a provider says that it serves, or why it could not be asked, with what to do. */
export type ModelList =
  | { readonly ok: true; readonly models: readonly string[] }
  | { readonly ok: false; readonly problem: string; readonly fix: string };

/** Asks a provider for its models once. Throws `UnresolvedSecret`. */
export async function readModelList(
  provider: ProviderEndpoint,
  resolveSecret: (reference: string) => string,
  timeoutMs: number,
): Promise<ModelList> {
  const { baseUrl } = provider;
  const client = providerClient(provider, resolveSecret, timeoutMs);
  const lookAtUrl = fixOfUrl(baseUrl);
  try {
    const response = await client.models.list().asResponse();
    const text = await response.text();
    const type = response.headers.get('content-type') ?? 'no content type';
    const models = modelsIn(text);
    if (models !== null) return { ok: true, models };
    const isPage = /html/i.test(type) || /^\s*</.test(text);
    return {
      ok: false,
      problem: `answers with ${isPage ? 'a web page' : type}, not with a list of models`,
      fix: lookAtUrl,
    };
  } catch (error) {
    return { ok: false, ...problemOf(error, provider, timeoutMs, lookAtUrl) };
  }
}

function modelsIn(text: string): readonly string[] | null {
  try {
    const { data } = JSON.parse(text) as { readonly data?: unknown };
    if (!Array.isArray(data)) return null;
    return data.flatMap((model) => (typeof model?.id === 'string' ? [model.id as string] : []));
  } catch {
    return null;
  }
}

function problemOf(
  error: unknown,
  provider: ProviderEndpoint,
  timeoutMs: number,
  lookAtUrl: string,
): { readonly problem: string; readonly fix: string } {
  const { host } = new URL(provider.baseUrl);
  if (error instanceof APIConnectionTimeoutError) {
    return {
      problem: `no answer from ${host} within ${timeoutMs / 1_000} s`,
      fix: `try again, or find out whether ${host} can be reached from here`,
    };
  }
  if (error instanceof APIConnectionError) {
    return { problem: `${host} cannot be reached${causeText(error)}`, fix: `start it, or ${lookAtUrl}` };
  }
  if (error instanceof APIError && typeof error.status === 'number') {
    const { status } = error;
    if (status === 401 || status === 403) {
      const key = keyReference(provider);
      return key === null
        ? {
            problem: `answers ${status}: it needs a key, and none is configured`,
            fix: 'say where its key is: `auth` of the provider, or --legacy-key and --candidate-key of `cutover init`',
          }
        : {
            problem: `answers ${status}: it refuses the key of ${key}`,
            fix: fixOfKey(key, host),
          };
    }
    if (status === 404) return { problem: 'answers 404: it has no list of models there', fix: lookAtUrl };
    return { problem: `answers ${status} to its list of models`, fix: `ask again later, or ${lookAtUrl}` };
  }
  return { problem: error instanceof Error ? error.message : String(error), fix: lookAtUrl };
}

function fixOfUrl(baseUrl: string): string {
  const url = baseUrl.replace(/\/+$/, '');
  return /\/v\d+$/.test(url)
    ? `compare its baseUrl (${baseUrl}) with the provider's documents`
    : `look at its baseUrl (${baseUrl}): did you mean ${url}/v1?`;
}

function fixOfKey(reference: string, host: string): string {
  const [kind, ...rest] = reference.split(':');
  const place = rest.join(':');
  if (kind === 'env') return `set the variable ${place} to a key of ${host}`;
  return kind === 'file' ? `put a key of ${host} into ${place}` : `look at what credentials.${place} prints`;
}

/** The system's code of what went wrong, or the words of what it came from. */
function causeText(error: Error): string {
  let cause: Error = error;
  while (cause.cause instanceof Error) cause = cause.cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  return cause === error ? '' : ` (${code ?? message})`;
}
