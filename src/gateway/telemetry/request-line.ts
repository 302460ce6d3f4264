import type { BreachClass } from '../../core/evidence/breach-classes';
import { visibleJson } from '../../core/text/visible-text';
import type { RequestFacts } from '../request/request-facts';
import type { RequestHead } from '../request/request-head';
import type { Services } from '../serving/services';
import type { FinishedCall } from './finished-call';
import type { AttemptNote } from './request-log';

/** What a call tells its log line. */
interface LoggedCall extends FinishedCall {
  readonly head: RequestHead;
  readonly facts: RequestFacts | null;
  readonly record: FinishedCall['record'] & {
    readonly servedModel: string | null;
    readonly answering: { readonly gist: { readonly model: string | null } | null } | null;
    readonly breach: BreachClass | null;
    readonly notes: readonly AttemptNote[];
  };
}

/**
 * The log line of a request that is over, as pino would write it. Made by concatenation: through pino a line
 * took a tenth of a request's time (measured).
 */
export function requestLine(call: LoggedCall, { log, wallNow, now }: Services): string {
  const { request, route, facts, caller, head, record } = call;
  let line = `{"level":30,"time":${wallNow()},${log.base},"route":${quoted(route.name)},"team":${quoted(caller.team)},"method":"${request.method}","path":${quoted(call.path)},"class":"${call.traffic.class}"`;
  if (facts !== null) line += `,"model":${quoted(facts.model)},"stream":${facts.stream}${featuresOf(facts)}`;
  line += `,"epoch":${record.epoch}`;
  if (record.arm !== null) line += `,"arm":"${record.arm}"`;
  if (record.servedBy !== null) line += `,"provider":${quoted(record.servedBy.name)}`;
  if (record.servedModel !== null) line += `,"servedModel":${quoted(record.servedModel)}`;
  const answered = record.answering?.gist?.model ?? null;
  if (answered !== null) line += `,"answeredModel":${quoted(answered.slice(0, MAX_MODEL))}`;
  if (record.failover !== null) line += `,"failover":"${record.failover}"`;
  line += `,"status":${call.response.statusCode},"outcome":"${record.outcome}","ms":${hundredths((call.endedMs ?? now()) - call.startedMs)}`;
  if (record.breach !== null) line += `,"breach":"${record.breach}"`;
  if (record.firstTokenMs !== null) line += `,"firstTokenMs":${hundredths(record.firstTokenMs)}`;
  const { usage } = record;
  if (usage !== null) {
    line += `,"tokensIn":${usage.input},"tokensCached":${usage.cached},"tokensOut":${usage.output}`;
    if (usage.written > 0) line += `,"tokensWritten":${usage.written}`;
  }
  if (head.retry) line += ',"retry":true';
  return `${line},"attempts":[${record.notes.map(noteOf).join()}],"msg":"request"}\n`;
}

/** A provider may call its model anything. */
const MAX_MODEL = 256;

/** What the answer has to be able to do: `cutover assess` asks a candidate for it. */
function featuresOf(facts: RequestFacts): string {
  const { tools, jsonSchema, vision } = facts.features;
  return `,"tools":${tools},"jsonSchema":${jsonSchema},"vision":${vision}`;
}

function noteOf({ provider, purpose, outcome, why, status, ms }: AttemptNote): string {
  const reason = why === undefined ? '' : `,"why":${quoted(why)}`;
  const code = status === undefined ? '' : `,"status":${status}`;
  return `{"provider":${quoted(provider)},"purpose":"${purpose}","outcome":"${outcome}"${reason}${code},"ms":${hundredths(ms)}}`;
}

/** Models and reasons are others' texts: C1 and direction characters would steer who reads the log. */
function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : visibleJson(JSON.stringify(text));
}

/** Nothing to escape. */
const PLAIN = /^[ !#-[\]-~]*$/;

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
