import { activityInfo, Context } from '@temporalio/activity';
import type { CheckParityInput, ParityResult } from '../contract';
import type { Finding } from '../core/assessment/finding';
import { briefReport, type ParityProgress, type ParityReport } from '../core/assessment/parity-report';
import { InvalidDocument } from '../core/configuration/schema-parts';
import type { Ports } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';

/**
 * Has both providers answer the plan's golden prompts. A later attempt goes on where the heartbeat says that the one
 * before it stopped; answers stay on the worker's machine, history gets numbers and digests.
 */
export function createCheckParity(ports: Ports): (input: CheckParityInput) => Promise<ParityResult> {
  return async ({ route, parity }) => {
    const context = Context.current();
    let standing = (activityInfo().heartbeatDetails as ParityProgress | null | undefined) ?? null;
    try {
      const report = await withHeartbeats(
        () =>
          ports.parity.run(
            // What was looked at and judged is asked anew: since then a provider may have fixed something.
            { ...parity, route, reuse: 'unfinished' },
            {
              signal: context.cancellationSignal,
              standing,
              report: (next) => {
                standing = next;
              },
            },
          ),
        () => standing,
      );
      return { findings: findingsOf(report), report: briefReport(report) };
    } catch (error) {
      // A person mends the file while the stage is held: it is read again when the stage is looked at again.
      if (error instanceof InvalidDocument) return unreadable(error);
      throw asFailure(error);
    }
  };
}

function findingsOf({ outcome, sentence, notes, stopped, prompts }: ParityReport): Finding[] {
  switch (outcome) {
    case 'pass':
      return notes.map((note) => ({ kind: 'warning', text: `parity: ${note}` }));
    case 'fail':
      return [{ kind: 'approval', item: 'parity', asks: null, text: `parity: ${sentence}` }];
    case 'inconclusive':
      // What stopped the run may be over when the stage is looked at again; too few prompts stay too few.
      return stopped !== null || prompts.skipped > 0
        ? [{ kind: 'doubt', text: `parity is inconclusive: ${sentence}` }]
        : [{ kind: 'approval', item: 'parity', asks: null, text: `parity is inconclusive: ${sentence}` }];
    default:
      return outcome satisfies never;
  }
}

const TOLD_MOST = 600;

function unreadable(error: InvalidDocument): ParityResult {
  const text = `parity could not be checked: ${error.message.replace(/\s*\n\s*/g, ' ')}`;
  return { findings: [{ kind: 'doubt', text: text.slice(0, TOLD_MOST) }], report: null };
}
