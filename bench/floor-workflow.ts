import { condition, defineSignal, setHandler } from '@temporalio/workflow';

/** The least that any workflow can do with a signal: the floor under a rollback's time. */
export async function floor(): Promise<void> {
  let told = false;
  setHandler(defineSignal('tell'), () => {
    told = true;
  });
  await condition(() => told);
}
