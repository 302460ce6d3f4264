import { outcomeOf } from '../../src/client/command-outcome';
import type { Checkpoint, ClosingCheckpoint, RoutingCause } from '../../src/core/migration/checkpoint';
import type { SeenCommand } from '../../src/core/migration/migration-state';

const ID = 'c-1';

function intended(
  seq: number,
  cause: RoutingCause,
  share: number,
  commandId: string | null = null,
): Checkpoint {
  const words = { by: 'ana', reason: 'p95 doubled', commandId };
  return { seq, atMs: 0, kind: 'intended', cause, stage: 'canary', share, epoch: seq, ...words };
}

function closing(seq: number, closes: number, kind: ClosingCheckpoint['kind'], share: number): Checkpoint {
  const gateways = { gateways: ['gw-1'], lapsed: ['gw-2'], missing: [] };
  return { seq, atMs: 0, kind, closes, stage: 'canary', share, epoch: closes, ...gateways, reason: 'why' };
}

function recorded(
  seq: number,
  what: 'promoted' | 'paused' | 'lapse' | 'health check failed',
  commandId: string | null = null,
): Checkpoint {
  return { seq, atMs: 0, kind: 'recorded', what, stage: 'canary', by: 'ana', reason: 'because', commandId };
}

function outcome(checkpoints: readonly Checkpoint[], seen: Partial<SeenCommand> | null = {}) {
  const command = {
    commandId: ID,
    name: 'rollback',
    accepted: true,
    message: 'said',
    checkpoint: 1,
    ...seen,
  };
  return outcomeOf(
    ID,
    { commands: seen === null ? [] : [command], phase: 'observing', outcome: null },
    checkpoints,
  );
}

it('is open until the change of routing is closed', () => {
  expect(outcome([intended(1, 'rollback', 0, ID)])).toBeNull();
  expect(outcome([], null)).toBeNull();
});

it('is verified with epoch and gateways once the change took effect', () => {
  expect(outcome([intended(1, 'rollback', 0, ID), closing(2, 1, 'took effect', 0)])).toEqual({
    commandId: ID,
    accepted: true,
    verified: true,
    checkpoint: 1,
    share: 0,
    epoch: 1,
    gateways: ['gw-1'],
    lapsed: ['gw-2'],
    missing: [],
    message: 'share 0% took effect',
  });
});

it('goes on with the rollback that overtook it and goes at least as far', () => {
  const overtaken = [
    intended(1, 'rollback', 0.1, ID),
    closing(2, 1, 'superseded', 0.1),
    intended(3, 'emergency', 0),
  ];
  expect(outcome(overtaken)).toBeNull();
  expect(outcome([...overtaken, closing(4, 3, 'took effect', 0)])).toMatchObject({
    verified: true,
    checkpoint: 3,
    share: 0,
    epoch: 3,
  });
});

it('is not verified where something else overtook the change, or it failed', () => {
  const superseded = [
    intended(1, 'advance', 0.5, ID),
    closing(2, 1, 'superseded', 0.5),
    intended(3, 'restore', 0.1),
  ];
  expect(outcome(superseded)).toMatchObject({ accepted: true, verified: false, share: null, epoch: null });
  const failed = [intended(1, 'advance', 0.5, ID), closing(2, 1, 'failed', 0.5)];
  expect(outcome(failed)).toMatchObject({ verified: false, message: 'failed: why' });
});

it('follows a promotion through its health check to its change of routing', () => {
  const told = [recorded(1, 'promoted', ID)];
  expect(outcome(told)).toBeNull();
  expect(outcome([...told, recorded(2, 'lapse')])).toBeNull();
  const moving = [...told, recorded(2, 'lapse'), intended(3, 'advance', 0.5, ID)];
  expect(outcome(moving)).toBeNull();
  expect(outcome([...moving, closing(4, 3, 'took effect', 0.5)])).toMatchObject({
    verified: true,
    share: 0.5,
  });
  expect(outcome([...told, recorded(2, 'health check failed')])).toMatchObject({
    verified: false,
    message: 'health check failed: because',
  });
  expect(outcome([...told, intended(2, 'emergency', 0)])).toMatchObject({
    verified: false,
    message: 'overtaken by checkpoint 2',
  });
});

it('is decided at once for what changes no routing and for what was refused', () => {
  expect(outcome([recorded(1, 'paused', ID)])).toMatchObject({
    accepted: true,
    verified: false,
    message: 'said',
  });
  expect(outcome([], { accepted: false, message: 'no', checkpoint: null })).toMatchObject({
    accepted: false,
    message: 'no',
  });
});

it('is refused by a migration that closed before it saw the command', () => {
  expect(outcomeOf(ID, { commands: [], phase: 'closed', outcome: 'completed' }, [])).toMatchObject({
    accepted: false,
    message: 'the migration is closed: completed',
  });
});
