import { isDeepStrictEqual } from 'node:util';
import { isOpen } from '../../../src/core/effects/effect-run';
import { runsOf } from '../../../src/core/effects/effect-runs';
import { withAccepted } from '../../../src/core/evidence/stage/stage-evidence';
import type { Checkpoint } from '../../../src/core/migration/checkpoint';
import { askedBy } from '../../../src/core/migration/command';
import type { Decision, MigrationEvent } from '../../../src/core/migration/events';
import { nextDecision } from '../../../src/core/migration/migration';
import type { MigrationState } from '../../../src/core/migration/migration-state';

/**
 * Judges every step of a migration by the laws, from what was asked and answered, not from what the machine
 * believes. Throws an Error that names the law.
 */
export class LawKeeper {
  /** Who confirmed the pending change, by the answers themselves. */
  private confirmed = new Set<string>();
  /** The most that any gateway may hold, and whether any may hold a pinned record. */
  private outShare = 1;
  private outPinned = true;
  /** The highest share that a running rollback allows; null when none runs. */
  private rollback: { readonly share: number } | null = null;

  /** Gateways that said that they are latched, until they say otherwise. */
  private latched = new Set<string>();
  /** The highest epoch that anybody has told of. */
  private highestEpoch = 0;
  /** Whether the current entry of the stage has ever passed with its soak behind it. */
  private hasPassed = false;

  check(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
    requireJson(before, after);
    checkEffects(before, after);
    if (before.phase === 'closed') {
      const told = { ...before, checkpoints: after.checkpoints, effects: after.effects ?? [] };
      demand(after === before || isDeepStrictEqual(after, told), 'law 10: a closed migration never changes');
      const recorded = after.checkpoints.slice(before.checkpoints.length).map(({ kind }) => kind);
      demand(!recorded.some((kind) => kind !== 'recorded'), 'law 10: a closed migration changes no routing');
      return;
    }
    const appended = after.checkpoints.slice(before.checkpoints.length);
    this.follow(before, event);
    checkSequence(before, after);
    checkShape(after);
    for (const entry of appended) this.checkEntry(entry, before, event, after);
    checkPromotion(before, event, after);
    this.checkRollback(before, event, after);
    checkHarm(before, event, after);
    checkEvidence(before, event, after);
    checkAmendment(before, event, after);
    this.checkLatches(before, event, after);
    this.checkDeadline(before, event, after);
    checkEnd(before, event, after);
    this.checkDecision(after, event);
  }

  /** Takes in what the world answered. */
  private follow(before: MigrationState, event: MigrationEvent): void {
    const drift =
      event.type === 'routing applied' && event.checkpoint === before.pending?.checkpoint
        ? event.result.drift
        : event.type === 'watched' && isCurrent(before, event)
          ? event.window.drift
          : null;
    if (event.type === 'routing read' && before.phase === 'reading') this.sees(event.reading.highestEpoch);
    if (event.type === 'watched' && isCurrent(before, event)) {
      const { highestEpoch, drifts = [], answered = [] } = event.window;
      this.sees(highestEpoch);
      for (const name of answered) this.latched.delete(name);
      for (const { gateway, kill } of drifts) if (kill !== null) this.latched.add(gateway);
    }
    if (event.type === 'routing applied' && event.checkpoint === before.pending?.checkpoint) {
      if (drift?.kill != null) this.latched.add(drift.gateway);
    }
    if (drift !== null && drift.kind !== 'kill latch') {
      this.outShare = 1;
      this.outPinned = true;
    }
    if (event.type === 'routing applied' && event.checkpoint === before.pending?.checkpoint) {
      for (const name of event.result.confirmed) this.confirmed.add(name);
    }
  }

  private sees(epoch: number): void {
    this.highestEpoch = Math.max(this.highestEpoch, epoch);
  }

  /** Law 9: while any latch is known, silent ones included, nothing above share 0 is applied to anybody. */
  private checkLatches(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
    const roster = after.roster.map(({ name }) => name);
    const known = [...this.latched].filter((name) => roster.includes(name));
    const begun = after.pending !== null && after.pending.checkpoint !== before.pending?.checkpoint;
    if (begun && after.pending.record.share > 0) {
      demand(known.length === 0, `law 9: ${after.pending.cause} under the latch of ${known.join(', ')}`);
    }
    // A new epoch that took effect everywhere is where latches are looked for again.
    if (event.type === 'routing applied' && before.pending !== null && after.pending === null) {
      this.latched = new Set(event.result.drift?.kill == null ? [] : [event.result.drift.gateway]);
    }
  }

  /** Law 3: at a deadline the plan's default acts, but never on what has passed. */
  private checkDeadline(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
    const { stage } = before;
    const entered = after.stage.enteredAtMs !== stage.enteredAtMs || after.inEffect !== before.inEffect;
    const plan = after.plan.stages[after.stageIndex];
    const passes =
      after.stage.verdict?.outcome === 'pass' &&
      after.stage.observedMs >= (plan?.soakMs ?? 0) &&
      !isOnItsWay(after);
    const rolledBack = after.checkpoints
      .slice(before.checkpoints.length)
      .some((entry) => entry.kind === 'recorded' && entry.what === 'deadline');
    if (rolledBack) demand(!this.hasPassed, 'law 3: a stage that has passed is rolled back by its deadline');
    // The last stage goes to its handover in the step in which it passes.
    const isIn = after.phase === 'observing' || after.phase === 'handover';
    this.hasPassed = (this.hasPassed && !entered) || (isIn && passes);
    const acts = event.type === 'time passed' || (event.type === 'watched' && isCurrent(before, event));
    if (!acts || plan === undefined || after.phase !== 'observing' || after.promotion !== null) return;
    const inStageMs = event.atMs - after.stage.enteredAtMs;
    const isJudgedNext = this.hasPassed && after.stage.verdict === null;
    if (inStageMs >= plan.deadline.holdMs && !passes && !isJudgedNext) {
      demand(after.stage.held !== null, `law 3: ${plan.name} is past its deadline and not held`);
    }
    const due = plan.deadline.rollbackMs !== null && inStageMs >= plan.deadline.rollbackMs;
    const mayStay = this.hasPassed || plan.share === 0 || (plan.share === 1 && !legacyAnswers(after));
    demand(!due || mayStay, `law 3: ${plan.name} is past its deadline and not rolled back`);
  }

  private checkEntry(
    entry: Checkpoint,
    before: MigrationState,
    event: MigrationEvent,
    after: MigrationState,
  ): void {
    if (entry.kind === 'intended') {
      const earlier = after.checkpoints.filter(({ kind, seq }) => kind === 'intended' && seq < entry.seq);
      const highest = Math.max(0, ...earlier.map((one) => ('epoch' in one ? one.epoch : 0)));
      demand(entry.epoch > highest, `law 5: epoch ${entry.epoch} is not above ${highest}`);
      demand(entry.epoch > this.highestEpoch, `law 5: epoch ${entry.epoch} is taken: ${this.highestEpoch}`);
      checkUnasked(entry, before, event);
      demand(
        entry.epoch > (before.inEffect?.record.epoch ?? 0),
        'law 5: an epoch is above the one in effect',
      );
      checkRaise(entry, before, event);
      checkDriftKept(entry, before, event);
      if (after.pending?.checkpoint === entry.seq) {
        const { direction, leaseConfirms } = after.pending;
        if (entry.share < this.outShare) demand(direction === 'lower', 'a lowering is verified as one');
        if (entry.cause === 'rollback' || entry.cause === 'emergency') {
          demand(direction === 'lower', 'law 7: a rollback is verified as a lowering');
        }
        demand(!(leaseConfirms && this.outPinned), 'a lapsed lease never stands for a pinned record');
      }
      this.confirmed = new Set();
      this.outShare = Math.max(this.outShare, entry.share);
      this.outPinned ||= entry.share === 1;
    }
    if (entry.kind === 'took effect') {
      const roster = before.roster.map(({ name }) => name);
      for (const name of entry.gateways) demand(this.confirmed.has(name), `${name} confirmed nothing`);
      if (before.pending?.direction === 'lower') {
        const missing = roster.filter(
          (name) => !entry.gateways.includes(name) && !entry.lapsed.includes(name),
        );
        demand(missing.length === 0, `law 10: ${missing.join(', ')} confirmed no lowering`);
        demand(entry.lapsed.length === 0 || !this.outPinned, 'a lapsed lease stood for a pinned record');
      } else {
        demand(entry.gateways.length > 0, 'a raise took effect nowhere');
      }
      const everyone = roster.every((name) => entry.gateways.includes(name) || entry.lapsed.includes(name));
      const drifted = event.type === 'routing applied' && event.result.drift !== null;
      if (everyone && !drifted) {
        this.outShare = entry.share;
        this.outPinned = entry.share === 1;
      }
      this.rollback = null;
    }
    if (entry.kind === 'failed') this.rollback = null;
  }

  /** Law 1: what is asked for is what happens next, and nothing weaker until it is done. */
  private checkRollback(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
    const command = event.type === 'command' ? event.command : null;
    const always =
      event.type === 'cancelled' ||
      (command !== null && !isRepeated(before, event) && isFinalRollback(command));
    const accepted =
      command?.name === 'rollback' &&
      command.to !== null &&
      after.refusals === before.refusals &&
      after.badMessages === before.badMessages &&
      !isRepeated(before, event);
    if (always || accepted) {
      const share = always ? 0 : (after.pending?.record.share ?? 0);
      this.rollback = { share: Math.min(share, this.rollback?.share ?? 1) };
      const decision = nextDecision(after, event.atMs);
      demand(decision.type === 'apply routing', `law 1: a rollback is followed by ${decision.type}`);
    }
    if (this.rollback === null || after.phase === 'closed') return;
    demand(after.phase === 'rolling back', `law 1: a rollback was left for ${after.phase}`);
    const { pending } = after;
    demand(pending !== null && pending.record.share <= this.rollback.share, 'law 7: the lower share wins');
    demand(pending !== null && pending.direction === 'lower', 'law 1: a rollback never raises');
    const emergency = before.pending?.rollback?.emergency === true;
    demand(!emergency || pending?.rollback?.emergency === true, 'law 7: an emergency stays one');
  }

  private checkDecision(after: MigrationState, event: MigrationEvent): void {
    const decision: Decision = nextDecision(after, event.atMs);
    if (after.phase === 'closed') {
      demand(decision.type === 'close', 'a closed migration closes');
      return;
    }
    if (decision.type === 'wait') {
      const waitMs = decision.untilMs === null ? Number.POSITIVE_INFINITY : decision.untilMs - event.atMs;
      demand(waitMs > 0, 'a wait that is over is waited for');
      const served = Math.max(after.inEffect?.record.share ?? 0, after.pending === null ? 0 : 1);
      demand(served === 0 || waitMs <= 10_000, `law 4: waits ${waitMs} ms while the candidate may be served`);
      const asked =
        after.paused !== null || after.stage.held !== null || runsOf(after).some((run) => isOpen(run));
      demand(Number.isFinite(waitMs) || asked, 'waits without end and nobody was asked');
    }
    if (decision.type === 'watch') demand(decision.windowMs >= 0, 'a window has a length');
    if (after.pending !== null && decision.type !== 'wait') {
      demand(
        decision.type === 'apply routing' && decision.checkpoint === after.pending.checkpoint,
        'what is pending is applied',
      );
    }
    if (event.type !== 'activity failed' && after.retry === null && after.phase === 'rolling back') {
      demand(decision.type === 'apply routing', 'law 1: a rollback waits for nothing');
    }
  }
}

function checkSequence(before: MigrationState, after: MigrationState): void {
  demand(
    before.checkpoints.every((entry, index) => after.checkpoints[index] === entry),
    'law 6: what was appended stays',
  );
  let open: number | null = null;
  after.checkpoints.forEach((entry, index) => {
    demand(entry.seq === index + 1, `law 6: expected checkpoint ${index + 1}, got ${entry.seq}`);
    if (entry.kind === 'intended') {
      demand(open === null, `law 6: ${entry.seq} is intended while ${open} is open`);
      open = entry.seq;
    } else if (entry.kind !== 'recorded') {
      demand(entry.closes === open, `law 6: ${entry.seq} closes ${entry.closes}, open is ${open}`);
      open = null;
    }
  });
  demand(
    (after.pending?.checkpoint ?? null) === open,
    `law 6: pending ${after.pending?.checkpoint}, open ${open}`,
  );
}

function checkShape(after: MigrationState): void {
  const applying = after.phase === 'applying' || after.phase === 'rolling back';
  demand(applying === (after.pending !== null), `${after.phase} goes with a pending change`);
  demand((after.phase === 'rolling back') === (after.pending?.rollback != null), 'a rollback shows as one');
  demand(after.drift === null || after.paused !== null || after.phase === 'closed', 'law 9: drift pauses');
  demand(after.promotion === null || after.paused === null, 'law 4: a paused stage is not promoted');
  demand((after.phase === 'closed') === (after.outcome !== null), 'an outcome closes');
  demand(
    after.inEffect === null || after.inEffect.stageIndex === after.stageIndex,
    'stage and routing agree',
  );
  demand(after.stageIndex === 0 || after.inEffect !== null, 'a stage has a routing');
  demand(after.epoch >= (after.inEffect?.record.epoch ?? 0), 'law 5: the epoch is the highest');
  demand(after.refusals.length <= 20 && after.verdicts.length <= 20, 'lists are bounded');
}

/** A step of a ramp is at most one step, within the stage, never beyond its share; pause, hold and drift win. */
function checkStep(
  entry: Checkpoint & { kind: 'intended' },
  before: MigrationState,
  event: MigrationEvent,
): void {
  const current = before.inEffect?.record.share ?? 0;
  const stage = before.plan.stages[before.stageIndex];
  demand(stage?.ramp !== undefined && entry.stage === stage.name, 'a step without a ramp');
  const { ramp, share, holdback = 0 } = stage as typeof stage & { ramp: { step: number; everyMs: number } };
  demand(entry.share > current, `a step from ${current} to ${entry.share}`);
  demand(entry.share <= current + ramp.step + 1e-9, `a step of more than ${ramp.step}`);
  demand(entry.share <= share - holdback + 1e-9, `a step to ${entry.share}, beyond the stage's own share`);
  demand(before.drift === null, 'law 9: no step over drift');
  if (event.type === 'command' && event.command.name === 'promote' && event.command.override) return;
  demand(event.type === 'health checked' && event.healthy, 'a step without a health check');
  demand(before.paused === null, 'law 4: a step while paused');
  demand(before.stage.held === null, 'law 3: a step while held');
  demand(before.stage.observedMs >= ramp.everyMs, 'a step before its time');
}

/** Law 2: the share rises by an advance only, with a pass or an override behind it. */
function checkRaise(
  entry: Checkpoint & { kind: 'intended' },
  before: MigrationState,
  event: MigrationEvent,
): void {
  const current = before.inEffect?.record.share ?? 0;
  if (entry.cause === 'step') {
    checkStep(entry, before, event);
    return;
  }
  if (entry.cause !== 'advance') {
    demand(entry.share <= current, `law 2: ${entry.cause} raises ${current} to ${entry.share}`);
    return;
  }
  const leaving = before.plan.stages[before.stageIndex];
  // What was held back moves within its stage, all of it.
  const holdsBack = leaving?.holdback !== undefined && current < leaving.share;
  const next = holdsBack ? leaving : before.plan.stages[before.stageIndex + 1];
  demand(entry.stage === next?.name, 'law 2: one stage at a time');
  const whole = (next?.share ?? 0) - (holdsBack ? 0 : (next?.holdback ?? 0));
  demand(
    leaving?.ramp === undefined || current >= leaving.share - (leaving.holdback ?? 0) - 1e-9,
    'a stage that is ramping is not left',
  );
  const from = leaving === undefined ? 0 : leaving.share - (leaving.holdback ?? 0);
  const share = holdsBack || next?.ramp === undefined ? whole : Math.min(whole, from + next.ramp.step);
  demand(Math.abs(entry.share - share) < 1e-9, `law 2: an advance to ${entry.share}, not ${share}`);
  demand(before.drift === null, 'law 9: no advance over drift');
  if (event.type === 'command' && event.command.name === 'promote' && event.command.override) return;
  demand(event.type === 'health checked' && event.healthy, 'law 2: an advance without a health check');
  demand(before.promotion !== null, 'law 2: an advance that nothing promoted');
  demand(before.stage.verdict?.outcome === 'pass', 'law 3: an advance without a pass');
  demand(before.paused === null, 'law 4: an advance while paused');
  demand(leaving?.approval === undefined || before.approval?.granted != null, 'an advance nobody approved');
  const others = before.plan.stages[before.stageIndex + 1]?.confirm ?? [];
  const said = (name: string) =>
    runsOf(before).some(
      (run) =>
        run.effect.name === name &&
        run.answer === 'yes' &&
        run.status === 'done' &&
        run.createdAtMs >= before.stage.enteredAtMs,
    );
  demand(others.every(said), 'an advance that others have not confirmed');
}

/** What was touched is put back when a rollback leaves it behind, exactly once and last first. */
function checkEffects(before: MigrationState, after: MigrationState): void {
  const added = runsOf(after).filter(({ id }) => !runsOf(before).some((run) => run.id === id));
  demand(
    added.length === 0 || before.phase !== 'closed' || added.every(({ purpose }) => purpose === 'notify'),
    'a closed migration begins nothing but telling',
  );
  const undone = runsOf(after).flatMap(({ restores }) => (restores === null ? [] : [restores]));
  demand(new Set(undone).size === undone.length, 'an effect is undone twice');
  const restored = added.flatMap(({ restores }) => (restores === null ? [] : [restores]));
  demand(
    restored.every((id, index) => index === 0 || id < (restored[index - 1] as number)),
    'effects are not undone last first',
  );
  if (after.outcome !== 'rolled back') return;
  for (const { id, purpose, captured, status } of runsOf(after)) {
    if (purpose !== 'apply') continue;
    demand(status !== 'waiting' && status !== 'captured', 'an effect goes on after a rollback');
    demand(captured === null || undone.includes(id), 'an effect that was touched is not undone');
  }
}

/** Law 9: over drift only a rollback or an accepted reapply is applied, never under a kill latch. */
function checkDriftKept(
  entry: Checkpoint & { kind: 'intended' },
  before: MigrationState,
  event: MigrationEvent,
): void {
  if (before.drift === null || entry.cause === 'rollback' || entry.cause === 'emergency') return;
  const accepted =
    event.type === 'command' && event.command.name === 'resume' && event.command.accept === 'reapply';
  demand(entry.cause === 'reapply' && accepted, `law 9: ${entry.cause} overwrites drift`);
  demand(before.drift.kill === null, 'law 9: a reapply under a kill latch');
}

/** Whether the stage is ramping: below the share that it is judged at. */
function isOnItsWay({ plan, stageIndex, inEffect }: MigrationState): boolean {
  const stage = plan.stages[stageIndex];
  if (stage?.ramp === undefined) return false;
  return (inEffect?.record.share ?? 0) < stage.share - (stage.holdback ?? 0) - 1e-9;
}

/** Law 3: a promotion begins on a pass whose soak is over, or by command on a pass. */
function checkPromotion(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
  const begun = after.promotion !== null && before.promotion === null;
  const handedOver = after.phase === 'handover' && before.phase !== 'handover';
  if (!begun && !handedOver) return;
  const last = after.plan.stages[after.stageIndex];
  if (!begun && last?.holdback !== undefined) {
    // What was held back has moved: on an advance, which was judged when it began, or because it had moved before.
    demand(after.inEffect?.record.share === last.share, 'law 2: handed over while traffic is held back');
    const had = before.inEffect?.record.share === last.share && before.stageIndex === after.stageIndex;
    demand(had || before.pending?.cause === 'advance', 'law 2: handed over without an advance');
    return;
  }
  const { verdict, observedMs, held } = after.stage;
  if (begun && isOnItsWay(after)) {
    // The next step of a ramp: what it takes is checked where it is intended.
    demand(after.promotion?.toIndex === after.stageIndex, 'law 2: left while it is ramping');
    demand(before.paused === null || event.type === 'command', 'law 4: a step while paused');
    demand(verdict !== null && held === null, 'law 3: a step that nothing was seen of, or while held');
    return;
  }
  const command = event.type === 'command' && event.command.name === 'promote' ? event.command : null;
  demand(before.paused === null || event.type === 'command', 'law 4: promoted while paused');
  if (command?.override === true) return;
  demand(verdict?.outcome === 'pass', `law 3: promoted on ${verdict?.outcome ?? 'nothing'}`);
  if (event.type === 'watched' && isCurrent(before, event)) {
    demand(
      event.window.verdict.outcome === 'pass' || before.stageIndex === 0,
      `law 3: promoted on a window that says ${event.window.verdict.outcome}`,
    );
  }
  if (command !== null) return;
  const soakMs = after.plan.stages[after.stageIndex]?.soakMs ?? 0;
  demand(observedMs >= soakMs && held === null, 'law 2: promoted before its soak, or while held');
}

/** Law 3: from share 1 nobody but a person goes back to a legacy whose probes do not pass. */
function checkUnasked(
  entry: Checkpoint & { kind: 'intended' },
  before: MigrationState,
  event: MigrationEvent,
): void {
  if (entry.cause !== 'rollback' || entry.by !== 'cutover' || before.pending !== null) return;
  if (before.plan.stages[before.stageIndex]?.share !== 1) return;
  const seen = event.type === 'watched' && isCurrent(before, event);
  const probes = seen ? event.window.probes : before.probes;
  demand(
    legacyAnswers({ probes }),
    'law 3: all traffic goes back by itself to a legacy that does not answer',
  );
}

function legacyAnswers({ probes }: Pick<MigrationState, 'probes'>): boolean {
  return probes.legacy.probes > 0 && probes.legacy.failedInARow === 0;
}

/** Only an amendment changes the plan; it moves nothing, and spends and returns no entry. */
function checkAmendment(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
  if (before.plan === after.plan) return;
  demand(event.type === 'command' && event.command.name === 'amend', `${event.type} changed the plan`);
  const recorded = after.checkpoints
    .slice(before.checkpoints.length)
    .map((entry) => 'what' in entry && entry.what);
  demand(recorded[0] === 'amended', 'an amendment is recorded first');
  // What was due at this moment, a deadline or an approval, may roll back all the same.
  const lowers = after.pending === null || after.pending.rollback !== null;
  demand(lowers && after.inEffect === before.inEffect, 'an amendment raises nothing');
  demand(after.stage.entry === before.stage.entry, 'an amendment counts no entry');
  demand(isDeepStrictEqual(after.stage.evidence, before.stage.evidence), 'an amendment keeps what was seen');
  const isSplit = (after.plan.stages[after.stageIndex]?.share ?? 0) > 0;
  const promotes = after.promotion !== null && after.promotion !== before.promotion;
  // What an amendment of notifications alone leaves as it was may be due at that moment: the rollout hours begin.
  const { notBefore } = before.stage;
  const isDue = notBefore != null && event.atMs >= notBefore.atMs && after.stage.verdict !== null;
  demand(!(isSplit && promotes) || isDue, 'law 2: an amendment promotes');
  const gates = ({ plan, stageIndex }: MigrationState) =>
    plan.stages.slice(0, stageIndex + 1).map(({ name, share, gates: margins }) => ({ name, share, margins }));
  demand(isDeepStrictEqual(gates(after), gates(before)), 'what was judged keeps its margins');
}

/** What windows counted is what the state holds, once: and nothing of a time in which the routing was drifted. */
function checkEvidence(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
  const entered = after.inEffect !== before.inEffect;
  if (entered) {
    const { evidence, cursors, observedMs, burnInRequests, windows } = after.stage;
    demand(evidence.judged.windows === 0, 'a stage is entered with evidence of another');
    demand(Object.keys(cursors).length === 0, 'a stage is entered with cursors of another');
    demand(observedMs + burnInRequests + windows === 0, 'a stage is entered with a soak behind it');
    return;
  }
  if (event.type !== 'watched' || !isCurrent(before, event)) {
    demand(after.stage.evidence === before.stage.evidence, 'evidence that no window counted');
    demand(after.stage.observedMs === before.stage.observedMs, 'soak that no window observed');
    return;
  }
  const { window } = event;
  const counts = before.drift === null && (window.drifts ?? []).length === 0 && before.stageIndex > 0;
  const { accepted } = before.stage;
  const counted = accepted === undefined ? window.evidence : withAccepted(window.evidence, accepted);
  const evidence = counts && window.evidence.epoch === window.epoch ? counted : before.stage.evidence;
  demand(
    isDeepStrictEqual(after.stage.evidence, evidence),
    'the state holds other evidence than was counted',
  );
  const read = { ...before.stage.cursors, ...window.cursors };
  demand(isDeepStrictEqual(after.stage.cursors, read), 'evidence that was read is read again');
  const soakMs = before.stage.observedMs + (counts ? window.observedMs : 0);
  demand(after.stage.observedMs === soakMs, `law 9: a soak of ${after.stage.observedMs}, not ${soakMs} ms`);
  const { burnIn, requests } = window.verdict;
  const burnt = before.stage.burnInRequests + (burnIn ? requests.candidate : 0);
  demand(after.stage.burnInRequests === burnt, 'requests of burn-in are not added up');
}

/** Law 4: harm rolls back from every watched state. */
function checkHarm(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
  if (event.type !== 'watched' || event.window.verdict.harm === null || !isCurrent(before, event)) return;
  if (before.plan.stages[before.stageIndex]?.share === 1 && !legacyAnswers(event.window)) {
    demand(after.stage.held !== null, 'law 3: harm that nothing follows is said');
    return;
  }
  demand(
    after.phase === 'rolling back' && after.pending?.record.share === 0,
    `law 4: harm is followed by ${after.phase}`,
  );
}

/** Law 10: how a migration may end. */
function checkEnd(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
  if (after.phase !== 'closed') return;
  switch (after.outcome) {
    case 'rolled back':
      demand(before.pending?.rollback?.final === true, 'law 10: rolled back without a final rollback');
      demand(after.inEffect?.record.share === 0, 'law 10: rolled back at a share above 0');
      demand(after.inEffect.record.shadow === 0, 'law 10: rolled back and still mirroring');
      return;
    case 'rejected':
      demand(event.type === 'assessed' && event.assessment.outcome === 'fail', 'law 10: rejected by nobody');
      demand(before.inEffect?.record.share === 0, 'law 10: rejected after something was moved');
      return;
    case 'completed': {
      demand(before.phase === 'handover', 'law 10: completed without a handover');
      if (event.type === 'command') {
        demand(event.command.name === 'finish', 'law 10: completed by another command than finish');
        return;
      }
      const everyone = after.roster.every(
        ({ name }) => event.type === 'watched' && event.window.settled.includes(name),
      );
      demand(everyone && before.paused === null && after.drift === null, 'law 10: completed unsettled');
      return;
    }
    default:
      demand(false, 'law 10: closed without an outcome');
  }
}

function isCurrent(before: MigrationState, event: MigrationEvent & { type: 'watched' }): boolean {
  return before.pending === null && before.inEffect?.record.epoch === event.window.epoch;
}

function isFinalRollback(command: (MigrationEvent & { type: 'command' })['command']): boolean {
  return command.name === 'emergencyRollback' || (command.name === 'rollback' && command.to === null);
}

function isRepeated(before: MigrationState, event: MigrationEvent): boolean {
  if (event.type !== 'command') return false;
  const { command } = event;
  return before.seen.some(
    (seen) => seen.commandId === command.commandId && seen.asked === askedBy(command) && seen.accepted,
  );
}

function demand(holds: boolean, law: string): asserts holds {
  if (!holds) throw new Error(law);
}

/**
 * Freezes a state and all in it, and demands that it is plain JSON. What is frozen was looked at before, so a
 * long migration costs only what is new.
 */
function requireJson(before: MigrationState, after: MigrationState): void {
  const found = notJson(after, before);
  demand(found === null, `state${found}`);
}

/**
 * The path of what JSON does not keep, and what it is; null where all is kept. What was looked at is frozen, and what
 * stands in the same place as before is not looked at again.
 */
function notJson(value: unknown, before: unknown): string | null {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return null;
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0) ? null : ` is ${value}, which JSON does not keep`;
  }
  if (typeof value !== 'object') return ` is ${typeof value}, which JSON does not keep`;
  if (value === before || Object.isFrozen(value)) return null;
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) return ' is no plain object';
  const known = (typeof before === 'object' ? before : null) as Readonly<Record<string, unknown>> | null;
  for (const key of Object.keys(value)) {
    const found = notJson((value as Record<string, unknown>)[key], known?.[key]);
    if (found !== null) return `.${key}${found}`;
  }
  Object.freeze(value);
  return null;
}
