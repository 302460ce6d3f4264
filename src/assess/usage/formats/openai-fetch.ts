import { readRetryAfter } from '../../../core/text/retry-after';
import { guardedFetch } from '../../../guarded-fetch';
import { openAiPageSchema } from './openai-usage';

const ADDRESS = 'https://api.openai.com/v1/organization';
const MAX_PAGES = 1000;
const MAX_ATTEMPTS = 5;

/** Asks OpenAI for an organization's usage or costs, page by page. */
export interface OpenAiFetch {
  readonly what: 'usage/completions' | 'usage/embeddings' | 'costs';
  readonly fromMs: number;
  readonly toMs: number;
  /** An admin key, resolved; it is never part of a message. */
  readonly key: string;
  readonly address?: string;
  readonly fetchUrl?: typeof fetch;
  readonly wait?: (ms: number) => Promise<void>;
  readonly progress?: (pages: number) => void;
  readonly signal?: AbortSignal;
}

/** All pages of the time asked for; throws an Error that says what OpenAI answered. */
export async function fetchOpenAiUsage(ask: OpenAiFetch): Promise<unknown[]> {
  const pages: unknown[] = [];
  let cursor: string | null = null;
  do {
    const url = new URL(`${ask.address ?? ADDRESS}/${ask.what}`);
    url.searchParams.set('start_time', String(Math.floor(ask.fromMs / 1000)));
    url.searchParams.set('end_time', String(Math.floor(ask.toMs / 1000)));
    url.searchParams.set('bucket_width', ask.what === 'costs' ? '1d' : '1h');
    url.searchParams.set('limit', ask.what === 'costs' ? '180' : '168');
    const groups = ask.what === 'costs' ? ['line_item'] : ['model', 'project_id'];
    if (ask.what === 'usage/completions') groups.push('batch', 'service_tier');
    for (const group of groups) url.searchParams.append('group_by', group);
    if (cursor !== null) url.searchParams.set('page', cursor);
    const page = openAiPageSchema.parse(await getJson(url, ask));
    pages.push(page);
    ask.progress?.(pages.length);
    const next: string | null = page.has_more === true ? (page.next_page ?? null) : null;
    if (next !== null && next === cursor) throw new Error(`OpenAI gave the same page of ${ask.what} twice`);
    cursor = next;
    if (pages.length >= MAX_PAGES)
      throw new Error(`OpenAI gave over ${MAX_PAGES} pages of ${ask.what}; ask for less`);
  } while (cursor !== null);
  return pages;
}

async function getJson(url: URL, ask: OpenAiFetch): Promise<unknown> {
  const wait = ask.wait ?? ((ms: number) => new Promise<void>((done) => setTimeout(done, ms)));
  for (let attempt = 1; ; attempt += 1) {
    const timeout = AbortSignal.timeout(60_000);
    const response = await (ask.fetchUrl ?? guardedFetch)(url, {
      headers: { authorization: `Bearer ${ask.key}` },
      signal: ask.signal === undefined ? timeout : AbortSignal.any([ask.signal, timeout]),
    });
    if (response.ok) return response.json();
    const passing = response.status === 429 || response.status >= 500;
    if (!passing || attempt === MAX_ATTEMPTS) {
      const hint =
        response.status === 401 || response.status === 403 ? ': organization usage needs an admin key' : '';
      throw new Error(`OpenAI answered ${response.status} when asked for ${ask.what}${hint}`);
    }
    const afterMs = readRetryAfter(response.headers.get('retry-after') ?? '', Date.now);
    await wait(Math.min(60_000, afterMs ?? 1000 * 2 ** attempt));
  }
}
