/** What the benchmark's providers answer, and what its callers ask: sizes of ordinary chat traffic. */
export const MODEL = 'gpt-4o';

const WORDS = 'The quick brown fox jumps over the lazy dog and then it rests for a while. '.repeat(12);

/** About 1.1 KB. */
export const PLAIN_BODY = JSON.stringify({
  model: MODEL,
  messages: [
    { role: 'system', content: 'You are a helpful assistant.' },
    { role: 'user', content: WORDS },
  ],
  temperature: 0.2,
  max_tokens: 256,
});

/** How a provider spaces the events of a stream: 2 ms apart, without any pause, or 200 ms apart. */
export type Pace = 'steady' | 'none' | 'slow';

/** The pace stands in the body, because a gateway may keep headers that it does not know to itself. */
export function streamBody(pace: Pace): string {
  return JSON.stringify({
    ...JSON.parse(PLAIN_BODY),
    stream: true,
    stream_options: { include_usage: true },
    metadata: { pace },
  });
}

/** A picture of 20 MB as vision models take it, by its data URL in base64; a stream without any pause is asked for. */
export const LARGE_BODY = JSON.stringify({
  ...JSON.parse(streamBody('none')),
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: WORDS },
        {
          type: 'image_url',
          image_url: { url: `data:image/png;base64,${'iVBORw0KGgoAAAAN'.repeat(1_250_000)}` },
        },
      ],
    },
  ],
});

/** The pace that a body asks for. */
export function paceOf(body: string): Pace {
  if (body.includes('"pace":"none"')) return 'none';
  return body.includes('"pace":"slow"') ? 'slow' : 'steady';
}

/** About 480 bytes. */
export const PLAIN_ANSWER = JSON.stringify({
  id: 'chatcmpl-0123456789abcdef0123456789',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: MODEL,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'The fox rests, and the dog does not mind it.', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: {
    prompt_tokens: 241,
    completion_tokens: 12,
    total_tokens: 253,
    prompt_tokens_details: { cached_tokens: 0 },
  },
  service_tier: 'default',
  system_fingerprint: 'fp_44709d6fcb',
});

/** A role, 18 pieces of content, an end, usage, [DONE]: 22 events. */
export const STREAM_EVENTS: readonly string[] = [
  chunk([{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }]),
  ...Array.from({ length: 18 }, (_, index) =>
    chunk([{ index: 0, delta: { content: ` word${index}` }, logprobs: null, finish_reason: null }]),
  ),
  chunk([{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }]),
  chunk([], { prompt_tokens: 241, completion_tokens: 18, total_tokens: 259 }),
  'data: [DONE]\n\n',
];

/** The text by which a caller sees that content has come. */
export const FIRST_CONTENT = ' word0';

function chunk(choices: object[], usage: object | null = null): string {
  const id = 'chatcmpl-0123456789abcdef0123456789';
  return `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created: 1_700_000_000, model: MODEL, choices, usage })}\n\n`;
}
