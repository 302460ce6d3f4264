import OpenAI from 'openai';

/** What the callers of the demo saw: every request is counted once, by who served it. */
export interface LoadCounts {
  readonly requests: number;
  readonly failures: number;
  readonly legacy: number;
  readonly candidate: number;
  /** Answers of legacy after the candidate had failed. */
  readonly failovers: number;
  /** p95 of the last answers of each provider, milliseconds; null without any. */
  readonly p95Ms: { readonly legacy: number | null; readonly candidate: number | null };
  /** The first failures that reached a caller, in words. */
  readonly firstFailures: readonly string[];
}

export interface Load {
  counts(): LoadCounts;
  /** Gateways that requests go to from now on, like a load balancer's list. */
  use(gateways: readonly string[]): void;
  /** Stops sending and resolves when what is under way has been answered. */
  stop(): Promise<void>;
}

export interface OpenLoopOptions {
  /** Data addresses of the gateways. */
  readonly gateways: readonly string[];
  readonly ratePerSecond: number;
  readonly model: string;
  readonly candidate: string;
  /** What is asked in turn, without tools; when absent, two questions of which one has a tool. */
  readonly questions?: readonly string[];
}

const REMEMBERED = 400;
const WARM_UP_MS = 4_000;
/** A machine that cannot keep up sends less rather than ever later. */
const UNDER_WAY_MOST = 100;

/**
 * An open-loop load: requests come at their own times, however slow the answers are. Every third one is a stream, every other
 * one has a tool to call;
 * all go through the official client, without retries, so that no failure is hidden.
 */
export function startLoad(options: OpenLoopOptions): Load {
  const clients = new Map<string, OpenAI>();
  let gateways = options.gateways;
  let sent = 0;
  const counts = { requests: 0, failures: 0, legacy: 0, candidate: 0, failovers: 0 };
  const latencies: Record<'legacy' | 'candidate', number[]> = { legacy: [], candidate: [] };
  const firstFailures: string[] = [];
  const underWay = new Set<Promise<void>>();
  let stopped = false;
  const startedMs = performance.now();
  let dueMs = startedMs;

  const send = async (): Promise<void> => {
    const gateway = gateways[sent % gateways.length] as string;
    const stream = sent % 3 === 0;
    const usesTool = options.questions === undefined && sent % 2 === 0;
    const question = options.questions?.[sent % options.questions.length];
    sent += 1;
    const startMs = performance.now();
    try {
      const headers = await ask(clientOf(clients, gateway), options.model, { stream, usesTool, question });
      const provider = headers.get('x-cutover-provider') === options.candidate ? 'candidate' : 'legacy';
      counts[provider] += 1;
      if (headers.has('x-cutover-failover')) counts.failovers += 1;
      const kept = latencies[provider];
      kept.push(performance.now() - startMs);
      if (kept.length > REMEMBERED) kept.shift();
    } catch (error) {
      counts.failures += 1;
      if (firstFailures.length < 3)
        firstFailures.push(error instanceof Error ? error.message : String(error));
    }
    counts.requests += 1;
  };
  const tick = (): void => {
    while (!stopped && dueMs <= performance.now()) {
      if (underWay.size < UNDER_WAY_MOST) {
        const request: Promise<void> = send().finally(() => underWay.delete(request));
        underWay.add(request);
      }
      // Poisson arrivals: exponential times between requests, slower at first while everything warms up.
      const warmth = Math.min(1, 0.1 + (performance.now() - startedMs) / WARM_UP_MS);
      dueMs += (-Math.log(1 - Math.random()) / (options.ratePerSecond * warmth)) * 1_000;
    }
    if (!stopped) setTimeout(tick, Math.max(1, dueMs - performance.now()));
  };
  tick();
  return {
    counts: () => ({
      ...counts,
      p95Ms: { legacy: p95(latencies.legacy), candidate: p95(latencies.candidate) },
      firstFailures,
    }),
    use: (list) => {
      gateways = list;
    },
    stop: async () => {
      stopped = true;
      await Promise.all(underWay);
    },
  };
}

const TOOL = {
  type: 'function',
  function: {
    name: 'move_traffic',
    description: 'Moves a part of the traffic.',
    parameters: {
      type: 'object',
      properties: { share: { type: 'number' }, to: { type: 'string', enum: ['legacy', 'candidate'] } },
      required: ['share', 'to'],
      additionalProperties: false,
    },
  },
} as const satisfies OpenAI.ChatCompletionTool;

async function ask(
  client: OpenAI,
  model: string,
  {
    stream,
    usesTool,
    question,
  }: { readonly stream: boolean; readonly usesTool: boolean; readonly question: string | undefined },
): Promise<Headers> {
  const request = {
    model,
    messages: [{ role: 'user' as const, content: question ?? (usesTool ? 'Move a tenth.' : 'Say hello.') }],
    ...(question === undefined ? {} : { temperature: 0 }),
    ...(usesTool ? { tools: [TOOL] } : {}),
  };
  if (!stream) return (await client.chat.completions.create(request).withResponse()).response.headers;
  const { data, response } = await client.chat.completions.create({ ...request, stream }).withResponse();
  let finished = false;
  for await (const chunk of data) finished ||= chunk.choices[0]?.finish_reason != null;
  if (!finished) throw new Error('the stream ended before it was finished');
  return response.headers;
}

function clientOf(clients: Map<string, OpenAI>, gateway: string): OpenAI {
  const held = clients.get(gateway);
  if (held !== undefined) return held;
  const client = new OpenAI({
    baseURL: `${gateway}/v1`,
    apiKey: 'demo-caller',
    maxRetries: 0,
    timeout: 30_000,
  });
  clients.set(gateway, client);
  return client;
}

function p95(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))] ?? null;
}
