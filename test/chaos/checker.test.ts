import { checkEvidence, LAWS } from '../../chaos/checker/check';
import { expectedWords } from '../../chaos/expected-answer';
import {
  arrival,
  CANARY_MS,
  type EpisodeLogs,
  evidenceOf,
  goodEpisode,
  KEYS,
  operatorLine,
  ROLLED_BACK_MS,
} from '../support/chaos-evidence';

function problemsOf(spoil: (logs: EpisodeLogs) => void): readonly string[] {
  const logs = goodEpisode();
  spoil(logs);
  return checkEvidence(evidenceOf(logs)).problems;
}

/** The first caller's line that fits. */
function caller(logs: EpisodeLogs, kind: string, provider: string) {
  return logs.callers.find(
    (line) => line.kind === kind && line.provider === provider,
  ) as EpisodeLogs['callers'][number];
}

it('finds nothing wrong in a good episode, and counts it', () => {
  const checked = checkEvidence(evidenceOf(goodEpisode()));
  expect(checked).toMatchObject({ problems: [], end: 'rolled back' });
  expect(checked.counts).toMatchObject({ requests: 999, 'verified rollbacks': 1 });
  expect(checked.counts['at the candidate']).toBeGreaterThan(100);
});

/** Changes what the last verdict counts in legacy's arm. */
function recount({ verdicts }: EpisodeLogs, by: number): void {
  const last = verdicts.pop();
  if (last === undefined) return;
  const { legacy, candidate } = last.verdict.requests;
  verdicts.push({ ...last, verdict: { ...last.verdict, requests: { legacy: legacy + by, candidate } } });
}

const LATE_MS = ROLLED_BACK_MS + 500;

/** One spoiled log per line: the law that it breaks, and how. */
const SPOILED: readonly [law: string, how: string, spoil: (logs: EpisodeLogs) => void][] = [
  [
    'no wrong or silently cut answer',
    'another answer',
    (logs) => {
      caller(logs, 'plain', 'legacy').text = 'legacy nonce-1-999 and so on';
    },
  ],
  [
    'no wrong or silently cut answer',
    'a stream without its end',
    (logs) => {
      const line = caller(logs, 'stream', 'candidate');
      line.done = false;
      line.text = line.text?.slice(0, 30) ?? null;
    },
  ],
  [
    'no wrong or silently cut answer',
    'half an answer that ends cleanly',
    (logs) => {
      const line = caller(logs, 'plain', 'candidate');
      line.text = line.text?.slice(0, 30) ?? null;
    },
  ],
  [
    'no wrong or silently cut answer',
    'an answer that is said to be from the other provider',
    (logs) => {
      const line = caller(logs, 'plain', 'candidate');
      line.text = expectedWords('legacy', line.nonce).join('');
    },
  ],
  [
    'nothing tried twice that must not be',
    'a request twice at the candidate',
    (logs) => {
      const { nonce, sentMs } = caller(logs, 'plain', 'candidate');
      logs.arrivals.push(arrival('candidate', nonce, sentMs + 3));
    },
  ],
  [
    'nothing tried twice that must not be',
    'a request at legacy and then at the candidate',
    (logs) => {
      const { nonce, sentMs } = caller(logs, 'plain', 'candidate');
      logs.arrivals.push(arrival('legacy', nonce, sentMs - 5));
    },
  ],
  [
    'nothing tried twice that must not be',
    'a hosted tool at both',
    (logs) => {
      const { nonce, sentMs } = caller(logs, 'hosted', 'candidate');
      logs.arrivals.push(arrival('legacy', nonce, sentMs + 3, true));
    },
  ],
  [
    'nothing tried twice that must not be',
    'an embedding twice',
    (logs) => {
      const { nonce, sentMs } = caller(logs, 'embedding', 'legacy');
      logs.arrivals.push(arrival('legacy', nonce, sentMs + 3));
    },
  ],
  [
    'no foreign key or header',
    'the key of legacy at the candidate',
    (logs) => {
      const { nonce, sentMs } = caller(logs, 'plain', 'candidate');
      const at = logs.arrivals.findIndex((line) => line.nonce === nonce);
      const headers = { authorization: `Bearer ${KEYS.providers.legacy}` };
      logs.arrivals[at] = { ...arrival('candidate', nonce, sentMs + 1), headers };
    },
  ],
  [
    'no foreign key or header',
    'a cookie of a caller',
    (logs) => {
      const line = logs.arrivals[5] as EpisodeLogs['arrivals'][number];
      line.headers = { ...line.headers, cookie: 'session=1' };
    },
  ],
  [
    'no foreign key or header',
    "a provider's cookie at a caller",
    (logs) => {
      caller(logs, 'plain', 'legacy').headers = { 'set-cookie': ['session=of-legacy'] };
    },
  ],
  [
    'nothing to the candidate after a verified rollback',
    'one request half a second later',
    (logs) => {
      const late = logs.callers.find(({ sentMs, kind }) => sentMs > LATE_MS && kind === 'plain');
      logs.arrivals.push(arrival('candidate', late?.nonce ?? '', LATE_MS + 20));
    },
  ],
  [
    'nothing to the candidate after a kill',
    'one request after the switch',
    (logs) => {
      logs.operators.push(operatorLine(['kill', 'chat', '--json'], CANARY_MS + 1_000, {}));
    },
  ],
  [
    'nothing on a lease that nobody can renew',
    'requests two leases after the last worker died',
    (logs) => {
      logs.events.unshift({ atMs: CANARY_MS + 500, what: 'renewals', possible: false });
    },
  ],
  [
    'no more than the share that was granted',
    'an epoch with a share of a tenth',
    (logs) => {
      for (const entry of logs.checkpoints) if (entry.epoch === 2) entry.share = 0.1;
    },
  ],
  [
    'no more than the share that was granted',
    'an epoch that nobody asked for',
    (logs) => {
      for (const { lines } of logs.gateways) for (const line of lines) if (line.epoch === 2) line.epoch = 7;
    },
  ],
  [
    'no older epoch than one confirmed',
    'the record of before the rollback',
    (logs) => {
      const lines = logs.gateways[0]?.lines ?? [];
      const late = lines.findLast((line) => line.class === 'randomised');
      if (late !== undefined) Object.assign(late, { arm: 'candidate', epoch: 2 });
    },
  ],
  [
    'a whole record',
    'a checkpoint that is missing',
    (logs) => {
      logs.checkpoints.splice(2, 1);
    },
  ],
  [
    'a whole record',
    'an intent that is never closed',
    (logs) => {
      const closing = logs.checkpoints[4];
      if (closing !== undefined) Object.assign(closing, { kind: 'recorded', closes: 0 });
    },
  ],
  [
    'a whole record',
    'an epoch that falls',
    (logs) => {
      for (const entry of logs.checkpoints) if (entry.epoch === 3) entry.epoch = 1;
    },
  ],
  [
    'a whole record',
    'a raise without a pass',
    (logs) => {
      const assessed = logs.checkpoints[2];
      if (assessed !== undefined) assessed.what = 'notified';
    },
  ],
  ['evidence counted once', 'a window that is counted twice', (logs) => recount(logs, 20)],
  ['no evidence lost', 'a window that is not counted', (logs) => recount(logs, -120)],
  [
    'no rollback lost',
    'a rollback that no migration knows',
    (logs) => {
      logs.commandIds = [];
    },
  ],
  [
    'an end, or what it waits for',
    'an open migration that says nothing',
    (logs) => {
      logs.events = [{ atMs: 10_000, what: 'end', closed: false, waitsFor: null }];
    },
  ],
];

it.each(SPOILED)('%s: finds %s', (law, _how, spoil) => {
  expect(problemsOf(spoil)).toEqual(expect.arrayContaining([expect.stringContaining(`${law}: `)]));
});

it('has a spoiled log for each law', () => {
  expect(new Set(SPOILED.map(([law]) => law))).toEqual(new Set(Object.keys(LAWS)));
});

it('finds a line of the record that was edited', () => {
  const evidence = evidenceOf(goodEpisode());
  const [exported] = evidence.exports;
  const lines = exported?.lines.map((line) => line.replace('"share":0.5', '"share":0.4')) ?? [];
  const edited = { ...evidence, exports: [{ ...exported, lines } as (typeof evidence.exports)[number]] };
  expect(checkEvidence(edited).problems).toEqual([expect.stringContaining('does not fit its hash')]);
});

it('takes the clock of a gateway into account, and what a killed one could not log', () => {
  expect(
    problemsOf((logs) => {
      const first = logs.gateways[0];
      if (first === undefined) return;
      // Half a second before its death nothing more was written.
      first.killedMs = ROLLED_BACK_MS - 20;
      first.lines = first.lines.filter(
        ({ endedMs }) => endedMs < ROLLED_BACK_MS - 500 || endedMs > ROLLED_BACK_MS,
      );
    }),
  ).toEqual([]);
});

it('accepts an open migration that names what it waits for', () => {
  const waitsFor = 'rolling back: gw-2 has not confirmed';
  const logs = goodEpisode();
  logs.events = [{ atMs: 10_000, what: 'end', closed: false, waitsFor }];
  expect(checkEvidence(evidenceOf(logs))).toMatchObject({ problems: [], end: `open: ${waitsFor}` });
});

it('takes no lost evidence where a gateway could not be asked', () => {
  expect(
    problemsOf((logs) => {
      recount(logs, -120);
      logs.events.unshift({ atMs: 3_000, what: 'way', way: 'admin:gw-1', mode: 'cut' });
    }),
  ).toEqual([]);
});
