import { collectDefaultMetrics, Registry } from 'prom-client';
import type { FailedLogins } from '../../core/access/failed-logins';
import type { FailureClass } from '../../core/evidence/evidence';
import type { Arm, GatewayStatus } from '../../core/routing/routing';
import type { Callers } from '../callers/callers';
import type { Judgement } from '../contract/judge-answer';
import type { JudgedPair } from '../judge/judge-tally';
import type { RouteToServe } from '../routing/gateway-routes';
import type { Connections } from '../sockets/connections';
import type { CredentialState, Credentials } from '../upstream/credentials';
import { BoundedHistogram, type Labels, registerScraped, type Sample } from './metric-series';
import type { Tracing } from './tracing';

/** One request of any traffic class, once it is over. */
export interface FinishedRequest {
  readonly route: string;
  /** `randomised`, `whole`, `stateful`, `other`. */
  readonly trafficClass: string;
  /** Who served it in the end; the label of every release is `side`. */
  readonly provider: Arm;
  readonly providerName: string;
  /** OpenTelemetry's `gen_ai.operation.name`: `chat`, `text_completion`, `embeddings`, ... */
  readonly operation: string;
  /** As the caller asked for it; counted as `other` unless the route's configuration names it. */
  readonly model: string;
  readonly outcome: 'success' | 'aborted' | FailureClass;
  readonly totalMs: number;
  /** Null for plain answers and when none came. */
  readonly firstTokenMs: number | null;
  readonly interTokenMs: readonly number[];
  readonly tokensIn: number;
  readonly tokensOut: number;
}

// Bounds that OpenTelemetry's GenAI conventions ask for.
const DURATION_S = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const FIRST_CHUNK_S = [0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const PER_CHUNK_S = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
const TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576];

class Series {
  count = 0;
  readonly duration = new BoundedHistogram(DURATION_S);
  readonly firstChunk = new BoundedHistogram(FIRST_CHUNK_S);
  readonly perChunk = new BoundedHistogram(PER_CHUNK_S);
  readonly tokensIn = new BoundedHistogram(TOKENS);
  readonly tokensOut = new BoundedHistogram(TOKENS);

  constructor(
    readonly outcome: string,
    readonly labels: Labels,
  ) {}
}

interface JudgedAnswers {
  readonly route: string;
  readonly arm: Arm;
  readonly judgement: Judgement;
  count: number;
}

interface JudgedSeries extends Pick<JudgedPair, 'result' | 'costUsd'> {
  readonly route: string;
  readonly count: number;
}

type StatusesSoon = readonly GatewayStatus[] | Promise<readonly GatewayStatus[]>;

/** The metrics of one process, as prom-client adds them up. */
export type MetricSamples = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What a process holds besides its routes, read at each scrape. */
export interface ProcessCounts {
  readonly tunnels: () => number;
  /** As many as `gateway.tunnels.max` allows. */
  readonly maxTunnels: number;
  readonly active: () => number;
  readonly defects: () => number;
  readonly buffered: () => number;
  readonly maxBuffered: () => number;
}

/** The gateway's Prometheus metrics, with OpenTelemetry's GenAI names where they exist. */
export class GatewayMetrics {
  readonly #routes: ReadonlyMap<string, Pick<RouteToServe, 'configuration' | 'outcomes'>>;
  readonly #readStatuses: () => StatusesSoon;
  readonly #registry = new Registry();
  readonly #series = new Map<string, Series>();
  /** By route, arm and what was found; answers that kept their contract are not shown. */
  readonly #answers = new Map<string, JudgedAnswers>();
  readonly #judged = new Map<string, JudgedSeries>();
  readonly #connections = new Map<string, Connections>();
  readonly #failedLogins = new Map<string, FailedLogins>();
  /** Read once a scrape: key statistics take a moment to sum up. */
  #statuses: readonly GatewayStatus[] = [];

  /** `readStatuses` is null in a process that only serves: another one shows the routing. */
  constructor(
    routes: ReadonlyMap<string, Pick<RouteToServe, 'configuration' | 'outcomes'>>,
    readStatuses: (() => StatusesSoon) | null,
  ) {
    this.#routes = routes;
    this.#readStatuses = readStatuses ?? (() => []);
    collectDefaultMetrics({ register: this.#registry });
    this.#registerRequests();
    this.#registerOutcomes();
    if (readStatuses !== null) this.#registerRouting();
    this.#registerConnections();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Counts a request, whatever its class; read before it returns, so buffers may be used again. */
  requestFinished(request: FinishedRequest): void {
    const series = this.#seriesOf(request);
    series.count += 1;
    series.duration.observe(request.totalMs / 1_000);
    if (request.firstTokenMs !== null) series.firstChunk.observe(request.firstTokenMs / 1_000);
    for (const gapMs of request.interTokenMs) series.perChunk.observe(gapMs / 1_000);
    if (request.tokensIn > 0) series.tokensIn.observe(request.tokensIn);
    if (request.tokensOut > 0) series.tokensOut.observe(request.tokensOut);
  }

  /** Counts what was found of an answer of an arm. */
  answerJudged(route: string, arm: Arm, judgement: Judgement): void {
    if (judgement === 'kept') return;
    const key = `${route} ${arm} ${judgement}`;
    const held = this.#answers.get(key);
    if (held === undefined) this.#answers.set(key, { route, arm, judgement, count: 1 });
    else held.count += 1;
  }

  /** Counts a pair of answers that was drawn for a judge. */
  pairJudged(route: string, result: JudgedPair['result'], costUsd: number): void {
    const key = `${route} ${result}`;
    const { count = 0, costUsd: beforeUsd = 0 } = this.#judged.get(key) ?? {};
    this.#judged.set(key, { route, result, count: count + 1, costUsd: beforeUsd + costUsd });
  }

  /** Adds what a process holds; once. */
  showProcess({ tunnels, maxTunnels, active, defects, buffered, maxBuffered }: ProcessCounts): void {
    const one = (name: string, type: 'gauge' | 'counter', help: string, value: () => number) =>
      registerScraped(this.#registry, {
        ...{ name, type, help },
        samples: () => [{ labels: {}, value: value() }],
      });
    one('cutover_tunnels_open', 'gauge', 'Open WebSockets.', tunnels);
    one('cutover_tunnels_limit', 'gauge', 'What tunnels.max allows.', () => maxTunnels);
    one('cutover_requests_active', 'gauge', 'Requests in progress.', active);
    one('cutover_buffered_bytes', 'gauge', 'Memory held by bodies and answers.', buffered);
    one('cutover_buffered_bytes_limit', 'gauge', 'What maxBufferedBytes allows.', maxBuffered);
    one('cutover_defects_total', 'counter', 'Unexpected exceptions.', defects);
  }

  /** Adds the failed logins of a listener. */
  showFailedLogins(listener: string, failedLogins: FailedLogins): void {
    this.#failedLogins.set(listener, failedLogins);
  }

  /** Adds how long keys that commands print are valid, and how often a command failed; once. */
  showCredentials(credentials: Pick<Credentials, 'standings'>): void {
    const each = (value: (standing: CredentialState) => number) => () =>
      credentials
        .standings()
        .map((standing) => ({ labels: { credential: standing.name }, value: value(standing) }));
    registerScraped(this.#registry, {
      name: 'cutover_credential_expires_seconds',
      help: 'Time until the key that a command printed expires; negative once it has.',
      type: 'gauge',
      samples: each(({ expiresInMs }) => Math.round(expiresInMs / 1_000)),
    });
    registerScraped(this.#registry, {
      name: 'cutover_credential_failures_total',
      help: "Runs of a credential's command that printed no key.",
      type: 'counter',
      samples: each(({ failures }) => failures),
    });
  }

  /** Adds what became of spans; once. */
  showTracing(tracing: Pick<Tracing, 'counts'>): void {
    registerScraped(this.#registry, {
      name: 'cutover_trace_spans_total',
      help: 'Spans: exported, dropped because the queue was full, failed because the collector did not take them.',
      type: 'counter',
      samples: () => Object.entries(tracing.counts).map(([result, value]) => ({ labels: { result }, value })),
    });
  }

  /** Adds what the limits of callers have refused; once. */
  showCallers(callers: Callers): void {
    registerScraped(this.#registry, {
      name: 'cutover_caller_refusals_total',
      help: 'Requests that a limit of their caller refused, before they were drawn.',
      type: 'counter',
      samples: () =>
        callers.refusals().map(({ team, limit, count }) => ({ labels: { team, limit }, value: count })),
    });
  }

  /** Adds the connections of a listener. */
  showConnections(listener: string, connections: Connections): void {
    this.#connections.set(listener, connections);
  }

  /** The exposition, as Prometheus reads it. */
  async metrics(): Promise<string> {
    this.#statuses = await this.#readStatuses();
    return this.#registry.metrics();
  }

  /** The same as JSON, to be added to that of other processes. */
  async samples(): Promise<MetricSamples> {
    this.#statuses = await this.#readStatuses();
    return this.#registry.getMetricsAsJSON();
  }

  #registerConnections(): void {
    const byListener = (
      name: string,
      type: 'gauge' | 'counter',
      help: string,
      value: (connections: Connections) => number,
    ) =>
      registerScraped(this.#registry, {
        ...{ name, type, help },
        samples: () =>
          [...this.#connections].map(([listener, connections]) => ({
            labels: { listener },
            value: value(connections),
          })),
      });
    byListener('cutover_connections_open', 'gauge', 'Open connections.', ({ open }) => open);
    byListener(
      'cutover_connections_limit',
      'gauge',
      'How many connections may be open.',
      ({ atMost }) => atMost,
    );
    const refused = 'Connections that were closed immediately, because too many were open.';
    byListener('cutover_connections_refused_total', 'counter', refused, ({ refused }) => refused);
    registerScraped(this.#registry, {
      name: 'cutover_failed_logins_total',
      type: 'counter',
      help: 'Requests without a key or token that the listener knows.',
      samples: () =>
        [...this.#failedLogins].map(([listener, { count }]) => ({ labels: { listener }, value: count })),
    });
  }

  #seriesOf(request: FinishedRequest): Series {
    const { route, trafficClass, provider, providerName, operation, outcome } = request;
    const models = this.#routes.get(route)?.configuration.models ?? {};
    const model = Object.hasOwn(models, request.model) ? request.model : 'other';
    const key = `${route} ${trafficClass} ${provider} ${providerName} ${operation} ${outcome} ${model}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const series = new Series(outcome, {
      route,
      side: provider,
      traffic_class: trafficClass,
      gen_ai_provider_name: providerName,
      gen_ai_operation_name: operation,
      gen_ai_request_model: model,
    });
    this.#series.set(key, series);
    return series;
  }

  #registerRequests(): void {
    const each = (samples: (series: Series, labels: Labels) => Sample[]) => () =>
      [...this.#series.values()].flatMap((series) =>
        samples(
          series,
          series.outcome === 'success' ? series.labels : { ...series.labels, error_type: series.outcome },
        ),
      );
    const histogram = (name: string, help: string, pick: (series: Series) => BoundedHistogram) =>
      registerScraped(this.#registry, {
        name,
        help,
        type: 'histogram',
        samples: each((series, labels) => pick(series).samples(name, labels)),
      });
    registerScraped(this.#registry, {
      name: 'cutover_requests_total',
      help: 'Finished requests, by who served them and how they ended.',
      type: 'counter',
      samples: each(({ labels, outcome, count }) => [{ labels: { ...labels, outcome }, value: count }]),
    });
    this.#registerAnswers();
    this.#registerJudge();
    histogram('gen_ai_client_operation_duration_seconds', 'GenAI operation duration.', (s) => s.duration);
    histogram(
      'gen_ai_client_operation_time_to_first_chunk_seconds',
      'Time to receive the first chunk of a stream.',
      (s) => s.firstChunk,
    );
    histogram(
      'gen_ai_client_operation_time_per_output_chunk_seconds',
      'Time between the chunks of a stream.',
      (s) => s.perChunk,
    );
    const name = 'gen_ai_client_token_usage';
    registerScraped(this.#registry, {
      name,
      help: 'Number of input and output tokens used.',
      type: 'histogram',
      samples: each((series, labels) => [
        ...series.tokensIn.samples(name, { ...labels, gen_ai_token_type: 'input' }),
        ...series.tokensOut.samples(name, { ...labels, gen_ai_token_type: 'output' }),
      ]),
    });
  }

  #registerOutcomes(): void {
    registerScraped(this.#registry, {
      name: 'cutover_outcomes_total',
      help: 'What applications said of answers, by what became of it; `refused` counts calls.',
      type: 'counter',
      samples: () =>
        [...this.#routes].flatMap(([route, { outcomes }]) =>
          Object.entries(outcomes.results).map(([result, value]) => ({ labels: { route, result }, value })),
        ),
    });
  }

  #registerAnswers(): void {
    const judged = () => [...this.#answers.values()];
    registerScraped(this.#registry, {
      name: 'cutover_answer_breaches_total',
      help: 'Answers of an arm that broke their contract.',
      type: 'counter',
      samples: () =>
        judged()
          .filter(({ judgement }) => judgement !== 'unchecked')
          .map(({ route, arm, judgement, count }) => ({
            labels: { route, side: arm, class: judgement },
            value: count,
          })),
    });
    registerScraped(this.#registry, {
      name: 'cutover_answers_unchecked_total',
      help: 'Answers of an arm that could not be checked: too long, no room, no time, an unusable schema.',
      type: 'counter',
      samples: () =>
        judged()
          .filter(({ judgement }) => judgement === 'unchecked')
          .map(({ route, arm, count }) => ({ labels: { route, side: arm }, value: count })),
    });
  }

  #registerJudge(): void {
    const each = (read: (series: JudgedSeries) => number) => () =>
      [...this.#judged.values()].map((series) => ({
        labels: { route: series.route, result: series.result },
        value: read(series),
      }));
    registerScraped(this.#registry, {
      name: 'cutover_judged_pairs_total',
      help: "Pairs of answers that were drawn for a plan's judge, by what came of them for the candidate.",
      type: 'counter',
      samples: each(({ count }) => count),
    });
    registerScraped(this.#registry, {
      name: 'cutover_judge_cost_usd_total',
      help: 'What judging them has cost, USD.',
      type: 'counter',
      samples: each(({ costUsd }) => costUsd),
    });
  }

  #registerRouting(): void {
    const gauge = (name: string, help: string, value: (status: GatewayStatus) => number) =>
      registerScraped(this.#registry, {
        name,
        help,
        type: 'gauge',
        samples: () =>
          this.#statuses.map((status) => ({ labels: { route: status.route }, value: value(status) })),
      });
    gauge('cutover_share_asked', "The candidate's share of the held record.", (s) => s.record?.share ?? 0);
    gauge('cutover_share_effective', "The candidate's share served now.", (s) => s.effectiveShare);
    gauge('cutover_epoch', 'Epoch of the held record, 0 without one.', (s) => s.record?.epoch ?? 0);
    gauge(
      'cutover_lease_remaining_seconds',
      'Time until the lease ends; 0 once it has lapsed, +Inf when the record is pinned.',
      (s) => (s.leaseRemainingMs === null ? Number.POSITIVE_INFINITY : s.leaseRemainingMs / 1_000),
    );
    gauge('cutover_kill_latched', 'Whether the kill switch is set.', (s) => (s.kill === null ? 0 : 1));
    gauge('cutover_record_durable', 'Whether the disk holds the record.', (s) =>
      s.durable === false ? 0 : 1,
    );
    gauge('cutover_ready', 'Whether the route is ready for traffic.', (s) => (s.ready ? 1 : 0));
    gauge('cutover_in_flight_older', 'Candidate requests of older epochs in flight.', (s) => s.inFlightOlder);
  }
}
