import { chunksOf, completionOf } from './message-answer';
import { messageRequest } from './message-request';

type Fetch = typeof fetch;

/** Of the list of models, which comes in pages of 20 otherwise. */
const MODELS_MOST = '1000';

/**
 * Has the official OpenAI client ask a provider of Anthropic's dialect: our own questions are chats, and are sent and
 * answered as messages. Everything else is passed on.
 */
export function messagesFetch(send: Fetch): Fetch {
  return async (input, init) => {
    const url = new URL(String(input));
    if (url.pathname.endsWith('/models')) url.searchParams.set('limit', MODELS_MOST);
    if (!url.pathname.endsWith(CHAT)) return send(url, init);
    url.pathname = `${url.pathname.slice(0, -CHAT.length)}/messages`;
    const headers = new Headers(init?.headers);
    headers.delete('content-length');
    const body = JSON.stringify(messageRequest(JSON.parse(String(init?.body))));
    return asChat(await send(url, { ...init, headers, body }));
  };
}

const CHAT = '/chat/completions';

async function asChat(answer: Response): Promise<Response> {
  if (!answer.ok || answer.body === null) return answer;
  const { status, headers } = answer;
  const type = headers.get('content-type') ?? '';
  if (type.includes('text/event-stream')) {
    return new Response(ReadableStream.from(chunksOf(answer.body)), {
      status,
      headers: plainHeaders(headers),
    });
  }
  const text = await answer.text();
  return new Response(translated(text), { status, headers: plainHeaders(headers) });
}

/** What is not JSON is for the client to complain of. */
function translated(text: string): string {
  try {
    return JSON.stringify(completionOf(JSON.parse(text)));
  } catch {
    return text;
  }
}

/** Length and coding were those of another text. */
function plainHeaders(headers: Headers): Headers {
  const plain = new Headers(headers);
  plain.delete('content-length');
  plain.delete('content-encoding');
  return plain;
}
