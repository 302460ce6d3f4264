import type { ChildProcess } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 50;
const WAITS_MOST = 600;

/** Waits until a process listens on its port; throws when it ends before, or takes half a minute. */
export async function untilPortAnswers(port: number, server: ChildProcess): Promise<void> {
  for (let waits = 0; !(await answers(port)); waits++) {
    if (server.exitCode !== null || waits > WAITS_MOST) {
      throw new Error(`expected ${server.spawnfile} to listen on ${port}`);
    }
    await sleep(PAUSE_MS);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
