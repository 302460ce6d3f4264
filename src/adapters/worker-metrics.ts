import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  ANSWERS,
  type GateVerdict,
  type MetricVerdict,
  SERVED_MODEL,
  type VerdictOutcome,
} from '../core/gates/verdict';
import type { ApplyResult } from '../core/migration/events';
import type {
  ChangeTelemetry,
  EffectTelemetry,
  ObservedChange,
  ObservedEffect,
  ObservedRound,
  ObservedStage,
  StageTelemetry,
  TelemetryPort,
} from '../ports';

/** For so long a stage stays shown after it was last looked at here: windows follow each other within seconds. */
const KEPT_MS = 60_000;
/** An effect that fails is tried again at least every five minutes, here or at another worker. */
const EFFECT_KEPT_MS = 600_000;
/** A rollback is a matter of milliseconds, or of one lease. */
const CHANGE_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

interface StageView {
  readonly stage: ObservedStage;
  round: ObservedRound | null;
  /** Gateway to the monotonic moment at which its evidence was last read. */
  readonly evidenceAtMs: Map<string, number>;
  /** How many activities look at it now. */
  running: number;
  endedAtMs: number;
}

interface ChangeView {
  readonly change: ObservedChange;
  missing: readonly string[];
  running: number;
  endedAtMs: number;
}

interface EffectView {
  readonly effect: ObservedEffect;
  running: number;
  endedAtMs: number;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What one worker process knows of the migrations that it works for, in Prometheus' format. */
export class WorkerMetrics implements TelemetryPort {
  readonly #registry = new Registry();
  readonly #stages = new Map<string, StageView>();
  readonly #changes = new Map<string, ChangeView>();
  readonly #effects = new Map<string, EffectView>();
  readonly #attempts: Counter<'route' | 'effect' | 'outcome'>;
  readonly #lapses: Counter<'route' | 'gateway'>;
  readonly #verdicts: Counter<'route' | 'outcome'>;
  readonly #durations: Histogram<'route' | 'direction'>;

  /** `now` is monotonic, `wallNow` milliseconds since 1970; `sdkUrl` is where the Temporal SDK shows its own. */
  constructor(
    private readonly sdkUrl: string | null,
    private readonly now: () => number = () => performance.now(),
    private readonly wallNow: () => number = Date.now,
  ) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#attempts = new Counter({
      name: 'cutover_effect_attempts_total',
      help: 'Attempts to carry out an effect or to undo it, by how they ended.',
      labelNames: ['route', 'effect', 'outcome'],
      registers,
    });
    this.#lapses = new Counter({
      name: 'cutover_migration_lapses_total',
      help: 'Gateways that were behind (lapsed lease, lost record, older epoch) and were pushed the record.',
      labelNames: ['route', 'gateway'],
      registers,
    });
    this.#verdicts = new Counter({
      name: 'cutover_migration_verdicts_total',
      help: 'Windows that have ended, by their verdict.',
      labelNames: ['route', 'outcome'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'cutover_routing_change_seconds',
      help: 'From asking for a change of routing until every gateway has confirmed it or its lease is over.',
      labelNames: ['route', 'direction'],
      buckets: CHANGE_S,
      registers,
    });
    this.#registerStages();
    this.#registerRounds();
    this.#gauge(
      'cutover_effects_pending',
      'Effects, or their undoing, that were begun and have not succeeded yet.',
      ['route', 'effect'],
      () => this.#pendingEffects(),
    );
    this.#gauge(
      'cutover_routing_missing_gateways',
      'Gateways that have not confirmed a change of routing that is under way.',
      ['route', 'direction'],
      () =>
        [...this.#changes.values()].map(({ change, missing }) => ({
          labels: { route: change.route, direction: change.direction },
          value: missing.length,
        })),
    );
  }

  effect(effect: ObservedEffect): EffectTelemetry {
    const view: EffectView = this.#effects.get(effect.key) ?? { effect, running: 0, endedAtMs: 0 };
    view.running += 1;
    this.#effects.set(effect.key, view);
    return {
      end: (how) => {
        view.running -= 1;
        view.endedAtMs = this.now();
        this.#attempts.inc({ route: effect.route, effect: effect.effect, outcome: how });
        if (how !== 'failed') this.#effects.delete(effect.key);
      },
    };
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition, as Prometheus reads it; that of the SDK stands after ours. */
  async metrics(): Promise<string> {
    this.#forget(this.#stages, KEPT_MS);
    this.#forget(this.#changes, KEPT_MS);
    this.#forget(this.#effects, EFFECT_KEPT_MS);
    const [own, sdk] = await Promise.all([this.#registry.metrics(), readText(this.sdkUrl)]);
    return `${own}\n${sdk}`;
  }

  stage(stage: ObservedStage): StageTelemetry {
    const { route } = stage;
    const before = this.#stages.get(route);
    const same = before?.stage.stage === stage.stage;
    const view: StageView = {
      stage,
      round: same ? before.round : null,
      evidenceAtMs: new Map(
        stage.gateways.map((name) => [name, (same && before.evidenceAtMs.get(name)) || this.now()]),
      ),
      running: 1,
      endedAtMs: 0,
    };
    this.#stages.set(route, view);
    return {
      round: (round) => this.#round(view, round),
      end: (outcome) => this.#endStage(view, outcome),
    };
  }

  change(change: ObservedChange): ChangeTelemetry {
    const key = change.route;
    const before = this.#changes.get(key);
    // A verification goes on where the push stopped; that of share 0 may have taken a higher epoch meanwhile.
    const goesOn =
      before !== undefined &&
      before.change.direction === change.direction &&
      (change.direction === 'lower' || before.change.epoch === change.epoch);
    const view: ChangeView = goesOn ? before : { change, missing: [], running: 0, endedAtMs: 0 };
    view.running += 1;
    this.#changes.set(key, view);
    return {
      pushed: (missing) => {
        view.missing = missing;
      },
      end: (result) => this.#endChange(key, view, result),
    };
  }

  #round(view: StageView, round: ObservedRound): void {
    view.round = round;
    const nowMs = this.now();
    for (const name of view.stage.gateways) {
      if (!round.silent.includes(name)) view.evidenceAtMs.set(name, nowMs);
    }
    const { route } = view.stage;
    for (const gateway of round.lapsed) this.#lapses.inc({ route, gateway });
  }

  #endStage(view: StageView, outcome: VerdictOutcome | null): void {
    view.running = 0;
    view.endedAtMs = this.now();
    if (outcome !== null) this.#verdicts.inc({ route: view.stage.route, outcome });
  }

  #endChange(key: string, view: ChangeView, result: ApplyResult | null): void {
    view.running -= 1;
    view.endedAtMs = this.now();
    if (result === null || result.missing.length > 0 || result.drift !== null) return;
    const { route, direction, scheduledAtMs } = view.change;
    this.#durations.observe({ route, direction }, Math.max(0, this.wallNow() - scheduledAtMs) / 1_000);
    if (this.#changes.get(key) === view) this.#changes.delete(key);
  }

  /** Another worker may have gone on with it: what nobody here works at any more is not ours to tell. */
  #forget(
    views: Map<string, { readonly running: number; readonly endedAtMs: number }>,
    keptMs: number,
  ): void {
    for (const [key, { running, endedAtMs }] of views) {
      if (running === 0 && this.now() - endedAtMs > keptMs) views.delete(key);
    }
  }

  /** Effects that began here and have not come to an end, counted by route and name. */
  #pendingEffects(): readonly Sample[] {
    const counts = new Map<string, Sample>();
    for (const { effect } of this.#effects.values()) {
      const key = `${effect.route} ${effect.effect}`;
      const value = (counts.get(key)?.value ?? 0) + 1;
      counts.set(key, { labels: { route: effect.route, effect: effect.effect }, value });
    }
    return [...counts.values()];
  }

  #registerStages(): void {
    const each = (sample: (view: StageView) => readonly Sample[]) => () =>
      [...this.#stages.values()].flatMap(sample);
    const route = (view: StageView) => ({ route: view.stage.route });
    this.#gauge(
      'cutover_migration_stage',
      '1 for the stage of a route that this worker assesses or watches.',
      ['route', 'stage'],
      each((view) => [{ labels: { ...route(view), stage: view.stage.stage }, value: 1 }]),
    );
    this.#gauge(
      'cutover_migration_share_asked',
      "The candidate's share that the migration asked for.",
      ['route'],
      each((view) => [{ labels: route(view), value: view.stage.shareAsked }]),
    );
    this.#gauge(
      'cutover_migration_soak_required_seconds',
      'How long the stage is observed, at least.',
      ['route'],
      each((view) => [{ labels: route(view), value: view.stage.soakRequiredMs / 1_000 }]),
    );
    this.#gauge(
      'cutover_migration_evidence_age_seconds',
      "Since a gateway's evidence was last read.",
      ['route', 'gateway'],
      each((view) =>
        [...view.evidenceAtMs].map(([gateway, atMs]) => ({
          labels: { ...route(view), gateway },
          value: (this.now() - atMs) / 1_000,
        })),
      ),
    );
  }

  #registerRounds(): void {
    const gauge = (
      name: string,
      help: string,
      labelNames: readonly string[],
      samples: (round: ObservedRound) => readonly Sample[],
    ) =>
      this.#gauge(name, help, ['route', ...labelNames], () =>
        [...this.#stages.values()].flatMap(({ stage, round }) =>
          round === null
            ? []
            : samples(round).map(({ labels, value }) => ({
                labels: { route: stage.route, ...labels },
                value,
              })),
        ),
      );
    gauge(
      'cutover_migration_share_observed',
      "The candidate's part of the randomised requests as measured.",
      [],
      ({ verdict }) => (verdict.observedShare === null ? [] : [{ labels: {}, value: verdict.observedShare }]),
    );
    gauge('cutover_migration_soak_seconds', 'What counts as soak so far in this stage.', [], ({ soakMs }) => [
      { labels: {}, value: soakMs / 1_000 },
    ]);
    gauge('cutover_migration_verdict', '1 for what the gate says now.', ['outcome'], ({ verdict }) => [
      { labels: { outcome: verdict.outcome }, value: 1 },
    ]);
    gauge('cutover_migration_harm', 'Whether the gate asks for a rollback.', [], ({ verdict }) => [
      { labels: {}, value: verdict.harm === null ? 0 : 1 },
    ]);
    gauge('cutover_migration_requests', 'Requests that the verdict rests on.', ['side'], ({ verdict }) => [
      { labels: { side: 'legacy' }, value: verdict.requests.legacy },
      { labels: { side: 'candidate' }, value: verdict.requests.candidate },
    ]);
    const arms = ['legacy', 'candidate'] as const;
    gauge(
      'cutover_migration_broken_answers_ratio',
      'Part of the checked answers that broke their contract, as judged.',
      ['side'],
      ({ verdict }) =>
        arms.flatMap((arm) => {
          const value = answersIn(verdict)?.[arm] ?? null;
          return value === null ? [] : [{ labels: { side: arm }, value }];
        }),
    );
    gauge(
      'cutover_migration_broken_answers',
      'Answers that the verdict rests on, by what they broke of their contract.',
      ['side', 'class'],
      ({ verdict }) =>
        (answersIn(verdict)?.breaches ?? []).flatMap((breach) =>
          arms.map((arm) => ({ labels: { side: arm, class: breach.class }, value: breach[arm] })),
        ),
    );
    gauge(
      'cutover_migration_unchecked_answers_ratio',
      'Part of the answers that could not be checked.',
      ['side'],
      ({ verdict }) => {
        const answers = answersIn(verdict);
        if (answers === null) return [];
        return arms.map((arm) => {
          const unchecked = answers.unchecked?.[arm] ?? 0;
          return {
            labels: { side: arm },
            value: unchecked === 0 ? 0 : unchecked / (unchecked + answers.n[arm]),
          };
        });
      },
    );
    gauge(
      'cutover_migration_identity_differs',
      'Whether the candidate shows another model than the reference, or than before.',
      [],
      ({ verdict }) => identityIn(verdict).map(({ differs }) => ({ labels: {}, value: differs ? 1 : 0 })),
    );
    gauge(
      'cutover_migration_identity_evidence',
      'E-value against the same model by how answers are distributed.',
      [],
      ({ verdict }) => identityIn(verdict).map(({ eValue }) => ({ labels: {}, value: eValue })),
    );
    gauge(
      'cutover_migration_probe_failures_in_a_row',
      'Probes of a provider that failed since the last one that passed.',
      ['side'],
      ({ probes }) => [
        { labels: { side: 'legacy' }, value: probes.legacy.failedInARow },
        { labels: { side: 'candidate' }, value: probes.candidate.failedInARow },
      ],
    );
    gauge(
      'cutover_migration_drift',
      '1 while a gateway contradicts the routing that the migration applied.',
      ['kind'],
      ({ drift }) => (drift === null ? [] : [{ labels: { kind: drift }, value: 1 }]),
    );
  }

  /** A gauge whose samples are made at the scrape, so that none stays behind. */
  #gauge(name: string, help: string, labelNames: readonly string[], samples: () => readonly Sample[]): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of samples()) this.set(labels, value);
      },
    });
  }
}

/** What a verdict says of answers; null where its plan does not judge them. */
function answersIn({ metrics }: GateVerdict): MetricVerdict | null {
  return metrics.find(({ metric }) => metric === ANSWERS) ?? null;
}

/** What a verdict says of which model answers; empty where its plan does not ask. */
function identityIn({ metrics }: GateVerdict): { readonly differs: boolean; readonly eValue: number }[] {
  return metrics
    .filter(({ metric }) => metric === SERVED_MODEL)
    .map(({ outcome, eValue, threshold }) => {
      const [seen, needed] = [eValue ?? 1, threshold ?? Number.POSITIVE_INFINITY];
      return { differs: outcome === 'fail' || seen >= needed, eValue: seen };
    });
}

const SDK_MS = 2_000;

/** Ours are shown with those of the SDK missing, too. */
async function readText(url: string | null): Promise<string> {
  if (url === null) return '';
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(SDK_MS) });
    return answer.ok ? await answer.text() : '';
  } catch {
    return '';
  }
}
