import { statusLines } from '../../src/cli/operate/status-view';
import { armsLines } from '../../src/console/terminal/arms-table';
import { clockLines } from '../../src/console/terminal/clock-lines';
import { ASCII } from '../../src/console/terminal/frame-options';
import type { ArmsView } from '../../src/console/view/arm-view';
import { orderView } from '../../src/console/view/order';
import { outcomeText } from '../../src/core/gates/verdict-text';
import { endedStatus, statusOf } from '../../src/core/migration/status';
import { histogramOf } from '../../src/core/statistics/histogram';
import { HOUR_MS, MINUTE_MS } from '../../src/core/text/duration';
import { aCell, aGateway, aMetric, sighting, viewOf } from '../support/migrations/migration-sighting';
import { givenMigration, KILLED, LEGACY_DEAD, OVERTAKEN } from '../support/migrations/migration-world';

function inCanary() {
  return givenMigration()
    .reaches('canary')
    .elapse(HOUR_MS)
    .watches({ observedMs: HOUR_MS, verdict: { outcome: 'inconclusive', observedShare: 0.098 } });
}

it('says which stages are done, now and next, and what is left of the soak', () => {
  const { stages, clock, head } = viewOf(inCanary());
  expect(stages.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'assess done',
    'canary now',
    'rolling next',
    'complete next',
  ]);
  expect(clock).toMatchObject({ soak: { observedMs: HOUR_MS, requiredMs: 24 * HOUR_MS, windows: 1 } });
  expect(clock.deadlineAtMs).toBeGreaterThan(0);
  expect(clock.deadlineThen).toBe('hold');
  expect(head).toMatchObject({ route: 'chat', stage: 'canary', share: 0.1, observedShare: 0.098 });
});

it('shows a ramp in place of the soak, what comes next, and that an override takes a step', () => {
  const stages = [
    { name: 'assess' },
    { name: 'canary' },
    { name: 'rolling', ramp: { step: 0.2, every: '10m' } },
  ];
  const world = givenMigration({ stages: [...stages, { name: 'complete' }] }).reaches('rolling');
  world.elapse(4 * MINUTE_MS).watches({ observedMs: 4 * MINUTE_MS, verdict: { outcome: 'inconclusive' } });
  const view = viewOf(world);
  expect(view.clock.ramp).toMatchObject({ step: 1, of: 2, nextShare: 0.5, observedMs: 4 * MINUTE_MS });
  expect(view.clock.outlook).toMatchObject({ to: '50% (step 2 of 2)', isStep: true });
  const frame = { columns: 110, rows: 40, nowMs: world.nowMs, timeText: String, glyphs: ASCII };
  const lines = clockLines(view, frame).map((line) => line.map(({ text }) => text).join(''));
  expect(lines[0]).toContain('step 1 of 2, next 50%: 4 min of 10 min');
  const promote = view.actions.find(({ id }) => id === 'promote');
  expect(promote?.label).toBe('Take the next step of rolling');
  expect(promote?.consequence).toContain('Step 2 of 2 of the ramp is applied: 50% of the traffic');
});

it('never says in the handover that a gate is undecided, nor that something soaks', () => {
  const world = givenMigration();
  world.goesOnUntil('the handover', () => world.state.phase === 'handover');
  world.watches({
    observedMs: MINUTE_MS,
    verdict: { outcome: 'inconclusive', burnIn: true, sentence: 'burns in' },
  });
  const view = viewOf(world);
  expect(view.head.phase).toBe('handover');
  expect(view.clock.soak).toBeNull();
  expect(view.gate).toMatchObject({
    word: 'watched',
    sentence: 'floor and probes hold; nothing else is judged in the handover',
  });
  const lines = statusLines(statusOf(world.state, world.nowMs), { gateways: [], problem: null });
  const text = lines.join('\n');
  expect(text).toContain('verdict     watched: floor and probes hold');
  expect(text).toContain(
    'to do       set `settled: candidate` for chat in the configuration of gw-a, gw-b and restart them',
  );
  expect(text).not.toMatch(/inconclusive|soak/);
});

it('shows the burn-in of a stage by its name, and harm in it as harm', () => {
  const burns = { outcome: 'inconclusive', burnIn: true, sentence: 'canary is in burn-in' } as const;
  const world = givenMigration().reaches('canary').watches({ observedMs: MINUTE_MS, verdict: burns });
  expect(viewOf(world).gate).toMatchObject({ word: 'burn-in', isNeutral: true });
  expect(outcomeText({ outcome: 'fail', burnIn: true })).toBe('fail');
});

it('is the same for the same sighting, so that nothing is sent while nothing happens', () => {
  const world = inCanary();
  expect(JSON.stringify(viewOf(world))).toBe(JSON.stringify(viewOf(world)));
});

describe('providers side by side', () => {
  it('are the sum of what all gateways counted in the arms', () => {
    const world = inCanary();
    const cells = [
      aCell({
        side: 'legacy',
        attempts: 100,
        successes: 99,
        failures: { timeout: 1 },
        totalMs: histogramOf([100, 200]),
      }),
      aCell({ side: 'candidate', attempts: 11, successes: 8, aborted: 1, failures: { status_5xx: 2 } }),
      aCell({
        side: 'candidate',
        shape: 'stream',
        attempts: 4,
        successes: 4,
        firstTokenMs: histogramOf([50]),
      }),
      aCell({ side: 'legacy', kind: 'failover', attempts: 2, successes: 2 }),
      aCell({ side: 'candidate', kind: 'probe', attempts: 30, successes: 30 }),
    ];
    const { sides } = viewOf(world, {
      gateways: [aGateway(world, 'gw-a', {}, cells), aGateway(world, 'gw-b', {}, cells)],
    });
    expect(sides).toMatchObject({ source: 'gateways', rescued: 4 });
    expect(sides.legacy).toMatchObject({
      requests: 200,
      errorRate: 0.01,
      plain: { p50Ms: expect.closeTo(200, -1) },
      firstToken: null,
    });
    expect(sides.candidate).toMatchObject({
      requests: 28,
      failures: 4,
      plain: null,
      firstToken: { p50Ms: expect.closeTo(50, -1) },
    });
    expect(sides.candidate.failuresByClass).toEqual([{ name: 'status_5xx', count: 4 }]);
    expect(sides.candidate.costUsd).toBeNull();
  });

  it('say which answers broke their contract, and how many were not checked', () => {
    const world = inCanary();
    const answered = (arm: 'legacy' | 'candidate', breaches: object) =>
      aCell({
        ...{ side: arm, attempts: 100, successes: 100 },
        answers: { checked: 80, unchecked: 20, breaches, ends: {} },
      });
    const cells = [answered('legacy', {}), answered('candidate', { cut: 1, tool_schema: 3 })];
    const { sides } = viewOf(world, { gateways: [aGateway(world, 'gw-a', {}, cells)] });
    expect(sides.legacy).toMatchObject({ breachRate: 0, breachesByClass: [], unchecked: 20 });
    expect(sides.candidate).toMatchObject({
      breachRate: 0.05,
      breachesByClass: [
        { name: 'tool_schema', count: 3 },
        { name: 'cut', count: 1 },
      ],
    });
    const before = viewOf(world, { gateways: [aGateway(world, 'gw-a', {}, [aCell({ side: 'legacy' })])] });
    expect(before.sides.legacy).toMatchObject({ breachRate: null, unchecked: null });
  });

  it("show a cohort's requests by a name of their own, in neither arm", () => {
    const stages = [{ name: 'assess' }, { name: 'pilot', only: { teams: ['search', 'ads'] } }];
    const world = givenMigration({ stages: [...stages, { name: 'canary' }, { name: 'complete' }] })
      .reaches('pilot')
      .watches({
        verdict: {
          requests: { legacy: 0, candidate: 40 },
          metrics: [aMetric({ metric: 'cohort success', candidate: 0.05, n: { legacy: 0, candidate: 40 } })],
        },
      });
    const cells = [
      aCell({ side: 'legacy', attempts: 100, successes: 100 }),
      aCell({ side: 'candidate', kind: 'cohort', attempts: 20, successes: 18, failures: { timeout: 2 } }),
    ];
    const { sides } = viewOf(world, { gateways: [aGateway(world, 'gw-a', {}, cells)] });
    expect(sides).toMatchObject({
      legacy: { requests: 100 },
      candidate: { requests: 0, errorRate: null },
      cohort: { whom: 'teams search, ads', side: { requests: 20, errorRate: 0.1 } },
    });
    const unread = viewOf(world).sides;
    expect(unread).toMatchObject({
      source: 'verdict',
      candidate: { requests: 0 },
      cohort: { side: { requests: 40, errorRate: 0.05 } },
    });
    const text = (shown: ArmsView) =>
      armsLines(shown, { legacy: 'old-llm', candidate: 'new-llm' }, 80, '~').map((line) =>
        line.map((part) => part.text).join(''),
      );
    expect(text(sides)).toContain('teams search, ads, in neither arm: 20 requests, 10% errors');
    expect(viewOf(inCanary()).sides).not.toHaveProperty('cohort');
  });

  it('count nothing of another epoch', () => {
    const world = inCanary();
    const old = aGateway(world, 'gw-a', {}, [aCell({ side: 'legacy', attempts: 9, successes: 9 })]);
    if (old.evidence?.kind !== 'ok') throw new Error('expected evidence');
    const { evidence } = old.evidence.value;
    const stale = { ...old.evidence.value, evidence: { ...evidence, epoch: evidence.epoch - 1 } };
    const { sides } = viewOf(world, { gateways: [{ ...old, evidence: { kind: 'ok', value: stale } }] });
    expect(sides).toMatchObject({ source: 'verdict', legacy: { requests: 900 } });
  });

  it('are those of the last verdict where no gateway can be read', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({
        verdict: {
          metrics: [
            aMetric({ legacy: 0.01, candidate: 0.02 }),
            aMetric({
              metric: 'p95 of plain answers, small',
              legacy: 1,
              candidate: 2,
              n: { legacy: 5, candidate: 5 },
            }),
            aMetric({ metric: 'p95 of plain answers, large', legacy: 800, candidate: 900 }),
          ],
        },
      });
    expect(viewOf(world).sides).toMatchObject({
      source: 'verdict',
      legacy: { requests: 900, errorRate: 0.01, plain: { p95Ms: 800 } },
      candidate: { requests: 100, errorRate: 0.02, plain: { p95Ms: 900 } },
    });
  });
});

describe('evidence bars', () => {
  function barOfMetric(said: Parameters<typeof aMetric>[0]) {
    const world = givenMigration()
      .reaches('canary')
      .watches({ verdict: { metrics: [aMetric(said)] } });
    return viewOf(world).gate.metrics[0]?.bar;
  }

  it.each([
    ['no evidence is an empty bar', { eValue: 1, threshold: 20 }, 0],
    ['evidence against it is an empty bar too', { eValue: 0.01, threshold: 20 }, 0],
    ['the square root of what is needed is half of it', { eValue: 10, threshold: 100 }, 0.5],
    ['more than is needed is a full bar', { eValue: 1e6, threshold: 20 }, 1],
  ])('%s', (_name, said, fraction) => {
    expect(barOfMetric(said)).toMatchObject({ kind: 'e-value', toward: 'pass', fraction });
  });

  it.each([
    ['a metric that is harmed', { harm: true }],
    ['a guardrail', { role: 'guardrail' as const }],
    ['the floor', { metric: 'floor' }],
    ['the sample ratio', { metric: 'sample ratio' }],
    ['what is watched only', { outcome: 'not applicable' as const }],
    ['the served model', { metric: 'served model', role: 'guardrail and goal' as const }],
  ])('of %s grow towards harm', (_name, said) => {
    expect(barOfMetric({ eValue: 10, threshold: 100, ...said })).toMatchObject({ toward: 'harm' });
  });

  it('of a sample grow with its requests, and metrics without either have none', () => {
    const sample = { metric: 'minimum sample', unit: 'requests' as const, candidate: 100, margin: 400 };
    expect(barOfMetric(sample)).toMatchObject({ kind: 'count', fraction: 0.25 });
    expect(barOfMetric({})).toBeNull();
  });
});

describe('banners', () => {
  it('tell a kill switch that only a gateway knows of yet', () => {
    const world = inCanary();
    const kill = { by: 'ana', reason: 'smoke', at: '2026-01-05T10:00:00.000Z' };
    const { banners, gateways } = viewOf(world, {
      gateways: [aGateway(world, 'gw-a', { kill, effectiveShare: 0 }), aGateway(world, 'gw-b')],
    });
    expect(banners[0]).toMatchObject({ tone: 'danger', title: 'Kill switch set at gw-a' });
    expect(banners[0]?.text).toContain('By ana: smoke. ');
    expect(gateways.map(({ state }) => state)).toEqual(['killed', 'as asked']);
  });

  it('tell a kill switch once, and pause and drift with what to do', () => {
    const world = inCanary().watches({ drift: KILLED });
    const { banners } = viewOf(world, { gateways: [aGateway(world, 'gw-a', { kill: KILLED.kill })] });
    expect(banners.map(({ title }) => title)).toEqual(['Kill switch set at gw-a', 'Paused']);
    const overtaken = viewOf(inCanary().watches({ drift: OVERTAKEN })).banners;
    expect(overtaken.map(({ title }) => title)).toEqual(['Drift at gw-a', 'Paused']);
  });

  it('name who has not confirmed a rollback', () => {
    const world = inCanary()
      .says('rollback', { by: 'ben', reason: 'p95 doubled' })
      .applies({ confirmed: ['gw-a'] });
    const { banners, gateways } = viewOf(world);
    expect(banners[0]).toMatchObject({ id: 'rolling back', tone: 'danger', title: 'Rolling back to 0%' });
    expect(banners[0]?.text).toBe('By ben: p95 doubled. Not confirmed yet: gw-b. Checkpoint 6.');
    expect(gateways.map(({ name, note }) => `${name} ${note}`)).toEqual([
      'gw-a confirmed',
      'gw-b not confirmed yet',
    ]);
  });

  it('tell that Temporal is gone, and the way that needs none', () => {
    const trouble = { what: 'temporal' as const, message: 'no answer within 10 s', sinceMs: 5 };
    const [banner] = viewOf(inCanary(), { trouble }).banners;
    expect(banner).toMatchObject({ title: 'Temporal does not answer', tone: 'danger', sinceMs: 5 });
    expect(banner?.text).toContain('`cutover kill chat`');
  });

  it('tell what is asked for, what waits and what fails', () => {
    const world = inCanary();
    const { status } = sighting(world);
    const approval = {
      checkpoint: 7,
      digest: 'd',
      stage: 'canary',
      asks: ['canary may be left'],
      askedAtMs: 1,
      expiresAtMs: 2,
      onExpiry: 'hold' as const,
      granted: null,
    };
    const effect = {
      name: 'dns',
      purpose: 'apply' as const,
      stage: 'canary',
      attempts: 3,
      lastError: 'refused',
      sinceMs: 1,
    };
    const { banners, actions } = viewOf(world, {
      status: {
        ...status,
        approval,
        nextPossibleAtMs: 9e15,
        effects: [effect, { ...effect, name: 'chat', lastError: null }],
      },
    });
    expect(banners.map(({ title }) => title)).toEqual([
      'Approval needed: approve, or decline by pausing or rolling back',
      'Effect pending: dns',
      'Outside the rollout hours',
      'Effects under way',
    ]);
    const approve = actions.find(({ name }) => name === 'approve');
    expect(approve).toMatchObject({ refusal: null, payload: { checkpoint: 7, digest: 'd' } });
    expect(actions.find(({ name }) => name === 'promote')?.consequence).toContain('an approval is needed');
  });

  it('are none for the status of a worker that knows neither approvals nor effects', () => {
    const { status } = sighting(inCanary());
    const { approval: _a, nextPossibleAtMs: _n, effects: _e, ...older } = status;
    const view = viewOf(inCanary(), { status: older as typeof status });
    expect(view.banners).toEqual([]);
    expect(view.clock.nextPossibleAtMs).toBeNull();
    expect(view.actions.some(({ name }) => name === 'approve')).toBe(false);
  });
});

it('says what to do about a provider whose probes fail, and does not say that there is nothing to do', () => {
  const world = inCanary();
  expect(viewOf(world).clock.outlook).not.toBeNull();
  world.watches({ probes: LEGACY_DEAD, verdict: { outcome: 'inconclusive' } });
  const { banners, clock } = viewOf(world);
  expect(banners.map(({ title, text }) => `${title}: ${text}`)).toEqual([
    expect.stringMatching(
      /^Probes of legacy fail: The last 3 failed; .*`cutover doctor` says what is wrong\. Callers/,
    ),
  ]);
  expect(clock.outlook).toBeNull();
});

it('does not say that there is nothing to do while no worker answers', () => {
  const trouble = { what: 'worker', message: 'no worker answers: start one', sinceMs: 0 } as const;
  expect(viewOf(inCanary(), { trouble }).clock.outlook).toBeNull();
});

describe('gateways', () => {
  it('that do not answer, hold something else, or serve nothing for want of a lease are told apart', () => {
    const world = inCanary();
    const record = world.state.inEffect?.record;
    if (record === undefined) throw new Error('expected a record in effect');
    const unreachable = { kind: 'unreachable', reason: '127.0.0.1:1: ECONNREFUSED' } as const;
    const { gateways, banners, clock } = viewOf(world, {
      gateways: [
        { name: 'gw-a', status: unreachable, evidence: null },
        aGateway(world, 'gw-b', { record: { ...record, epoch: 1 } }),
        aGateway(world, 'gw-c', { leaseRemainingMs: 0, effectiveShare: 0 }),
      ],
    });
    expect(gateways.map(({ state, note }) => [state, note])).toEqual([
      ['silent', '127.0.0.1:1: ECONNREFUSED'],
      ['behind', 'holds epoch 1, ours is 2'],
      ['behind', 'no lease: serves legacy'],
    ]);
    expect(banners.map(({ title, text }) => [title, text])).toEqual([
      [
        'Gateways that do not answer',
        'No answer from gw-a: start it again, or `cutover forget gw-a` if it is gone for good. The numbers leave them out.',
      ],
    ]);
    expect(clock.outlook).toBeNull();
  });

  it('show the share that is asked and the one that is measured', () => {
    const world = inCanary();
    expect(viewOf(world, { gateways: [aGateway(world, 'gw-a')] }).gateways[0]).toMatchObject({
      asked: 0.1,
      serving: 0.1,
      measured: 0.1,
      requests: 100,
      lease: 'running',
    });
  });
});

describe('commands', () => {
  it('say what they would do, and why they would be refused', () => {
    const actions = viewOf(inCanary()).actions;
    expect(actions.map(({ id, refusal }) => [id, refusal])).toEqual([
      ['pause', null],
      ['promote', null],
      ['reevaluate', null],
      ['amend', null],
      ['rollback', null],
      ['emergency', null],
    ]);
    for (const { consequence } of actions) expect(consequence).toMatch(/\.$/);
    expect(actions.find(({ id }) => id === 'rollback')?.consequence).toContain('goes back to old-llm');
  });

  it('promote without a pass only by an override that needs a reason and names the checkpoint', () => {
    const world = inCanary();
    expect(viewOf(world).actions.find(({ name }) => name === 'promote')).toMatchObject({
      tone: 'danger',
      reasonNeeded: true,
      payload: { stage: 'canary', override: true, checkpoint: world.state.inEffect?.checkpoint },
    });
  });

  it('go back to earlier shares where there are any', () => {
    const world = givenMigration()
      .reaches('rolling')
      .watches({ verdict: { outcome: 'inconclusive' } });
    const back = viewOf(world).actions.filter(({ id }) => id.startsWith('rollback '));
    expect(back).toHaveLength(1);
    expect(back[0]).toMatchObject({ label: 'Back to canary, 10%', name: 'rollback' });
  });

  it('are all refused once the migration is closed', () => {
    const world = inCanary().says('rollback', { by: 'ben' }).applies({});
    const view = viewOf(world);
    expect(view.head.outcome).toBe('rolled back');
    for (const { refusal } of view.actions) expect(refusal).toBe('the migration is closed: rolled back');
    expect(view.banners.map(({ title }) => title)).toEqual(['Rolled back']);
  });
});

it('draws a line a metric and direction, and the shares that took effect', () => {
  const metric = aMetric({ eValue: 10, threshold: 100, legacy: 0.01, candidate: 0.02 });
  const world = givenMigration()
    .reaches('canary')
    .watches({ verdict: { outcome: 'inconclusive', metrics: [metric], observedShare: 0.1 } })
    .watches({
      verdict: {
        outcome: 'inconclusive',
        metrics: [metric, aMetric({ metric: 'floor', eValue: 2, threshold: 4 })],
      },
    });
  const own = world.state.verdicts.slice(-2);
  const { series } = viewOf(world, { verdicts: own });
  expect(series.atMs).toHaveLength(2);
  expect(series.errors).toEqual({ legacy: [0.01, 0.01], candidate: [0.02, 0.02] });
  expect(series.evidence).toEqual([
    { metric: 'errors', toward: 'pass', fractions: [0.5, 0.5] },
    { metric: 'floor', toward: 'harm', fractions: [null, 0.5] },
  ]);
  expect(series.asked.map(({ share }) => share)).toEqual([0, 0.1]);
});

describe('a command that was sent', () => {
  const order = {
    commandId: 'c1',
    name: 'rollback',
    label: 'Roll back',
    by: 'ana',
    atMs: 0,
    end: null,
  } as const;

  it('is open until a worker takes it, then names the checkpoint and who is missing', () => {
    const world = inCanary();
    const status = () => statusOf(world.state, world.nowMs);
    expect(orderView(order, status())).toMatchObject({
      open: true,
      text: expect.stringMatching(/^Sent to Temporal/),
    });
    world.says('rollback', { by: 'ana', commandId: 'c1' }).applies({ confirmed: ['gw-a'] });
    expect(orderView(order, status()).text).toBe('Checkpoint 6: rolling back to 0%, not confirmed yet: gw-b');
  });

  it('is told as refused, as failed, or as verified with its numbers', () => {
    const outcome = {
      commandId: 'c1',
      accepted: true,
      verified: true,
      checkpoint: 6,
      share: 0,
      epoch: 3,
      gateways: ['gw-a'],
      lapsed: ['gw-b'],
      missing: [],
      message: '',
    };
    expect(orderView({ ...order, end: outcome }, null)).toMatchObject({
      tone: 'good',
      text: 'Verified: 0% in effect, epoch 3, checkpoint 6, confirmed by gw-a, lease over at gw-b',
    });
    expect(orderView({ ...order, end: { ...outcome, accepted: false, message: 'no' } }, null).text).toBe(
      'Refused: no',
    );
    expect(orderView({ ...order, end: { failed: 'gone' } }, null)).toMatchObject({
      tone: 'danger',
      text: 'gone',
    });
  });
});

it('shows at a closed migration which gateway serves something else than was verified', () => {
  const world = givenMigration().reaches('canary').says('rollback').applies();
  expect(world.state.outcome).toBe('rolled back');
  const settled = { record: null, settled: 'candidate', effectiveShare: 1 } as const;
  const { gateways } = viewOf(world, {
    gateways: [aGateway(world, 'gw-a', settled), aGateway(world, 'gw-b')],
  });
  expect(gateways).toMatchObject([
    { name: 'gw-a', state: 'behind', note: 'the migration last verified 0%', serving: 1 },
    { name: 'gw-b', state: 'as asked' },
  ]);
});

it('shows that Temporal ended the run', () => {
  const { banners } = viewOf(givenMigration().reaches('canary'), {
    status: endedStatus(statusOf(givenMigration().reaches('canary').state, 0), 'terminated'),
  });
  expect(banners).toMatchObject([{ id: 'ended', tone: 'danger', title: 'Its run was terminated' }]);
});
