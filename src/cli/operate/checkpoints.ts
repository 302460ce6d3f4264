import type { Command } from 'commander';
import { saidOnce } from '../../core/gates/harm-text';
import type { Checkpoint } from '../../core/migration/checkpoint';
import { formatShare } from '../../core/plan/plan';
import { forRoute, ofRun, type RunFlags, routeOf, runIdOf, withClient } from '../options/connection';
import { instantText } from '../options/instant';
import { printJson, printTable } from '../options/output';

/** Adds `cutover checkpoints`: everything that was decided, and what took effect. */
export function registerCheckpoints(program: Command): void {
  ofRun(
    forRoute(
      program.command('checkpoints').description('list everything that was decided, and what took effect'),
    ),
  )
    .addHelpText(
      'after',
      '\nWith --json: one checkpoint a line.\n\nExamples:\n  cutover checkpoints chat\n  cutover checkpoints chat --json\n  cutover checkpoints chat --run chat-20261104t091500z-1a2b3c',
    )
    .action(runCheckpoints);
}

async function runCheckpoints(given: string | undefined, flags: RunFlags): Promise<void> {
  const route = routeOf(given, flags);
  await withClient(flags, async (client) => {
    const rows: string[][] = [];
    for await (const checkpoint of client.checkpoints(route, await runIdOf(client, route, flags))) {
      if (flags.json === true) printJson(checkpoint);
      else rows.push(row(checkpoint));
    }
    if (flags.json !== true) printTable(['SEQ', 'AT', 'WHAT', 'STAGE', 'SHARE', 'EPOCH', 'BY', 'WHY'], rows);
  });
}

function row(checkpoint: Checkpoint): string[] {
  const { seq, atMs, stage } = checkpoint;
  const start = [String(seq), instantText(atMs)];
  switch (checkpoint.kind) {
    case 'recorded':
      return [...start, checkpoint.what, stage, '', '', checkpoint.by, saidOnce(checkpoint.reason)];
    case 'intended': {
      const { cause, share, epoch, by, reason } = checkpoint;
      return [...start, `intended: ${cause}`, stage, formatShare(share), String(epoch), by, reason];
    }
    default: {
      const { kind, closes, share, epoch, gateways, lapsed, missing, reason } = checkpoint;
      const what = `${kind}: ${closes}`;
      const who = [
        gateways.length === 0 ? '' : `confirmed by ${gateways.join(', ')}`,
        lapsed.length === 0 ? '' : `lease over at ${lapsed.join(', ')}`,
        missing.length === 0 ? '' : `missing ${missing.join(', ')}`,
        reason,
      ].filter((part) => part !== '');
      return [...start, what, stage, formatShare(share), String(epoch), '', who.join('; ')];
    }
  }
}
