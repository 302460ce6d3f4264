import { MockActivityEnvironment } from '@temporalio/testing';
import { createHandoverProbe } from '../../src/activities/handover-probe';
import { createProviderProbes } from '../../src/adapters/openai/provider-probe';
import { systemClock } from '../../src/adapters/system-clock';
import type { HandoverResult } from '../../src/contract';
import { withFindings } from '../../src/core/assessment/assessment';
import type { HandoverDirection } from '../../src/core/assessment/handover-conversation';
import { NO_PROBES } from '../../src/core/gates/verdict';
import type { Ports } from '../../src/ports';
import { chatConfiguration } from '../support/parity-fixture';
import { scriptedPair } from '../support/providers/scripted-pair';
import {
  calls,
  type ScriptedAnswer,
  type ScriptedRequest,
  says,
} from '../support/providers/scripted-provider';

const pair = scriptedPair(shopkeeper);

/** Looks the stock up first and then answers, as both should. */
function shopkeeper({ body }: ScriptedRequest): ScriptedAnswer {
  const asked = body.messages?.at(-1)?.role === 'user' && body.messages.length < 4;
  return asked ? calls('stock_level', { article: 'kettle', warehouse: 'north' }) : says('There are 17.');
}

/** The same, with its reasoning beside it. */
function reasoning(request: ScriptedRequest): ScriptedAnswer {
  const answer = shopkeeper(request) as { message: object; finish?: string };
  return { ...answer, message: { ...answer.message, reasoning_content: 'The shop has two warehouses.' } };
}

function refusing(field: string, otherwise: (request: ScriptedRequest) => ScriptedAnswer) {
  return (request: ScriptedRequest): ScriptedAnswer =>
    request.body.messages?.some((message) => field in message)
      ? { status: 400, error: `unexpected field ${field}` }
      : otherwise(request);
}

function probed(
  said: { newConversationsOnly?: boolean; heartbeatDetails?: unknown } = {},
): Promise<HandoverResult> {
  const providers = createProviderProbes({
    configuration: chatConfiguration(pair().legacy.url, pair().candidate.url),
    resolveSecret: () => 'none',
    now: systemClock.now,
  });
  const probe = createHandoverProbe({ providers, clock: systemClock } as unknown as Ports);
  const { newConversationsOnly = false, heartbeatDetails } = said;
  return new MockActivityEnvironment({ heartbeatDetails }).run(probe, {
    route: 'chat',
    timeoutMs: 5_000,
    newConversationsOnly,
  }) as Promise<HandoverResult>;
}

it('finds nothing where each goes on with what the other began', async () => {
  const { findings, directions } = await probed();
  expect(findings).toEqual([]);
  expect(directions.map(({ madeBy, outcome, tools }) => ({ madeBy, outcome, tools }))).toEqual([
    { madeBy: 'candidate', outcome: 'accepted', tools: true },
    { madeBy: 'legacy', outcome: 'accepted', tools: true },
  ]);
  const last = JSON.parse(pair().legacy.bodies.at(-1) ?? '{}');
  expect(last.messages.map(({ role }: { role: string }) => role)).toEqual(
    expect.arrayContaining(['system', 'user', 'assistant', 'tool']),
  );
});

it('replays messages as they came, and asks a person when legacy refuses what the candidate adds', async () => {
  pair().candidate.script = reasoning;
  pair().legacy.script = refusing('reasoning_content', shopkeeper);
  const { findings, directions } = await probed();
  expect(directions[0]).toMatchObject({
    madeBy: 'candidate',
    outcome: 'refused',
    added: ['reasoning_content'],
    acceptedPlain: true,
    error: 'status_4xx (status 400)',
  });
  expect(findings).toEqual([
    {
      kind: 'approval',
      item: 'handover',
      asks: null,
      text: 'legacy refuses conversations that the candidate made (status_4xx (status 400)); it accepts them without "reasoning_content" (legacyParameters: {history: {drop: [reasoning_content]}}): a rollback would break live conversations',
    },
  ]);
  const providers = {
    outcome: 'pass',
    blockers: [],
    warnings: [],
    sentence: 'all probes passed',
    probes: { legacy: NO_PROBES, candidate: NO_PROBES },
    saltBalanced: true,
  } as const;
  expect(withFindings(providers, findings)).toMatchObject({
    outcome: 'pass',
    approvals: [{ item: 'handover', asks: null }],
  });
});

it('names the form of ids that the other provider insists on, together with what it refuses besides', async () => {
  const insisting =
    (form: RegExp) =>
    (request: ScriptedRequest): ScriptedAnswer => {
      const ids = request.body.messages?.flatMap(({ tool_call_id: id }) =>
        typeof id === 'string' ? [id] : [],
      );
      return ids?.every((id) => form.test(id)) === false
        ? { status: 400, error: 'tool_call_id has another form' }
        : refusing('reasoning_content', shopkeeper)(request);
    };
  pair().legacy.script = reasoning;
  pair().candidate.script = insisting(/^[a-zA-Z0-9]{9}$/);
  const nine = await probed();
  expect(nine.directions[1]).toMatchObject({
    acceptedPlain: true,
    repair: { drop: ['reasoning_content'], toolCallIds: { prefix: '', length: 9 } },
  });
  expect(nine.findings.map(({ text }) => text)).toEqual([
    expect.stringContaining(
      'it accepts them without "reasoning_content" and with other ids of tool calls (parameters: {history: {drop: [reasoning_content], toolCallIds: {length: 9}}})',
    ),
  ]);
  pair().legacy.script = shopkeeper;
  pair().candidate.script = insisting(/^toolu_/);
  expect((await probed()).findings.map(({ text }) => text)).toEqual([
    expect.stringContaining('(parameters: {history: {toolCallIds: {prefix: toolu_, length: 30}}})'),
  ]);
  pair().candidate.script = insisting(/^never$/);
  const none = await probed();
  expect(none.directions[1]).toMatchObject({ outcome: 'refused', acceptedPlain: false });
  expect(none.findings.map(({ text }) => text).join()).not.toContain('history');
});

it('warns only, when the candidate refuses legacy’s conversations and is given new ones alone', async () => {
  pair().legacy.script = reasoning;
  pair().candidate.script = refusing('reasoning_content', shopkeeper);
  expect((await probed()).findings).toEqual([
    expect.objectContaining({ kind: 'approval', item: 'handover-to-candidate' }),
  ]);
  expect((await probed({ newConversationsOnly: true })).findings).toEqual([
    expect.objectContaining({ kind: 'warning' }),
  ]);
});

it('replays plain conversations of a provider that takes no tools, and says so', async () => {
  pair().candidate.script = ({ body }) => ('tools' in body ? { status: 400 } : says('About seventeen.'));
  const { findings } = await probed();
  expect(findings).toContainEqual({
    kind: 'warning',
    text: 'the candidate called no tool: only a plain conversation was replayed',
  });
});

it('doubts what could not be asked', async () => {
  pair().legacy.script = () => ({ status: 503 });
  const { findings } = await probed();
  expect(findings.map(({ kind }) => kind)).toEqual(['doubt', 'doubt']);
});

it('asks for a direction once, whatever became of the worker', async () => {
  const first: HandoverDirection = {
    madeBy: 'candidate',
    outcome: 'accepted',
    tools: true,
    added: [],
    acceptedPlain: null,
    error: null,
  };
  const { directions } = await probed({ heartbeatDetails: [first] });
  expect(directions[0]).toEqual(first);
  expect(JSON.parse(pair().candidate.bodies[0] ?? '{}').messages.length).toBeGreaterThan(2);
});
