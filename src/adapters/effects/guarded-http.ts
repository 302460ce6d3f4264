import { lookup as systemLookup } from 'node:dns';
import type { Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import { ForbiddenAddress, guardedLookup, refuseLiteral } from '../../core/access/address-guard';
import { EffectProblem } from '../../core/effects/effect-problem';
import { HOUR_MS } from '../../core/text/duration';
import { readRetryAfter } from '../../core/text/retry-after';

/** More than any receiver of an effect has to say. */
const ANSWER_MOST_BYTES = 256 * 1024;
const EXCERPT_MOST = 200;
/** The longest that a receiver's `retry-after` is believed. */
const RETRY_AFTER_MOST_MS = HOUR_MS;

export interface HttpLimits {
  readonly timeoutMs: number;
  readonly allowPrivate: boolean;
  readonly allowHttp: boolean;
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Never repeated in a message, whatever the receiver answers. */
  readonly secrets: readonly string[];
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * One request to the target of an effect: a connection of its own, no redirect, no proxy, a bounded answer, and the
 * address is looked at that is connected to, not the name. Throws `EffectProblem`; any status is an answer.
 */
export async function sendGuarded(
  call: HttpCall,
  limits: HttpLimits,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const url = checkedUrl(call.url, limits);
  const agent = new Agent({ connect: guardedConnector(limits), maxResponseSize: ANSWER_MOST_BYTES });
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  try {
    const answer = await request(url, {
      method: call.method,
      dispatcher: agent,
      signal: AbortSignal.any([signal, timeout]),
      headers: { 'user-agent': 'cutover', 'accept-encoding': 'identity', ...call.headers },
      ...(call.body === undefined ? {} : { body: call.body }),
    });
    const text = await answer.body.text();
    throwUnlessAccepted(url, answer, text, call.secrets);
    return { status: answer.statusCode, text };
  } catch (error) {
    throw asProblem(url, error, { signal, timeout, limits });
  } finally {
    await agent.destroy();
  }
}

/** Connects to where a request would go, and sends nothing; throws `EffectProblem`. */
export async function reachGuarded(
  address: string,
  limits: HttpLimits,
  signal: AbortSignal,
): Promise<string> {
  const url = checkedUrl(address, limits);
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  try {
    const socket = await connectOnce(url, limits, AbortSignal.any([signal, timeout]));
    const { remoteAddress = 'somewhere', remotePort = 0 } = socket;
    socket.destroy();
    return `connects to ${url.host} at ${remoteAddress} port ${remotePort}; nothing was sent`;
  } catch (error) {
    throw asProblem(url, error, { signal, timeout, limits });
  }
}

function checkedUrl(text: string, { allowHttp }: HttpLimits): URL {
  if (!URL.canParse(text))
    throw new EffectProblem('expected an absolute URL at its reference (not shown)', false);
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && allowHttp)) {
    throw new EffectProblem(`${url.host}: expected https://, or allowHttp: true next to it`, false);
  }
  if (url.username !== '' || url.password !== '') {
    throw new EffectProblem(`${url.host}: expected no user or password in the URL`, false);
  }
  return url;
}

function guardedConnector({ allowPrivate, timeoutMs }: HttpLimits): buildConnector.connector {
  const connect = buildConnector({
    timeout: timeoutMs,
    lookup: guardedLookup((...asked) => systemLookup(...asked), allowPrivate),
  });
  return (options, callback) => {
    const refusal = refuseLiteral(options.hostname, allowPrivate);
    if (refusal !== null) callback(refusal, null);
    else connect(options, callback);
  };
}

function connectOnce(url: URL, limits: HttpLimits, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    guardedConnector(limits)(
      {
        hostname: url.hostname,
        host: url.host,
        protocol: url.protocol,
        port: url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port,
      },
      (...[error, socket]) => {
        // Undici leaves the socket out where its types say null.
        if (error !== null) reject(error);
        else if (signal.aborted) socket.destroy();
        else resolve(socket);
      },
    );
  });
}

function throwUnlessAccepted(
  url: URL,
  { statusCode, headers }: Dispatcher.ResponseData,
  text: string,
  secrets: readonly string[],
): void {
  if (statusCode >= 200 && statusCode < 300) return;
  if (statusCode >= 300 && statusCode < 400) {
    throw new EffectProblem(
      `${url.host} answered ${statusCode}, a redirect, which is never followed: configure where it leads to`,
      false,
    );
  }
  const retryable = statusCode >= 500 || [408, 425, 429].includes(statusCode);
  throw new EffectProblem(
    `${url.host} answered ${statusCode}${excerpt(text, secrets)}`,
    retryable,
    retryable ? retryAfterMs(headers['retry-after']) : null,
  );
}

/** The start of an answer as one line of text, without what was sent as a secret. */
function excerpt(text: string, secrets: readonly string[]): string {
  const shown = secrets
    .filter((secret) => secret !== '')
    .reduce((rest, secret) => rest.replaceAll(secret, '(secret)'), text)
    .replace(/[^\p{L}\p{N}\p{P}\p{S}]+/gu, ' ')
    .trim();
  return shown === '' ? '' : `: ${shown.slice(0, EXCERPT_MOST)}`;
}

function retryAfterMs(header: string | string[] | undefined): number | null {
  const waitMs = readRetryAfter(String(header ?? ''), Date.now) ?? 0;
  return waitMs > 0 ? Math.min(waitMs, RETRY_AFTER_MOST_MS) : null;
}

function asProblem(
  url: URL,
  error: unknown,
  { signal, timeout, limits }: { signal: AbortSignal; timeout: AbortSignal; limits: HttpLimits },
): unknown {
  if (error instanceof EffectProblem) return error;
  if (signal.aborted) return signal.reason;
  if (timeout.aborted)
    return new EffectProblem(`${url.host} did not answer within ${limits.timeoutMs} ms`, true);
  if (error instanceof ForbiddenAddress) {
    return new EffectProblem(`${url.host}: ${error.message}`, false);
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new EffectProblem(`${url.host} answered more than ${ANSWER_MOST_BYTES} bytes`, false);
  }
  return new EffectProblem(
    `${url.host}: ${code === undefined || code.startsWith('UND_') ? message : code}`,
    true,
  );
}
