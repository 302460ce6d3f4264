import {
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';

const { work } = proxyActivities<{ work(): Promise<void> }>({ startToCloseTimeout: '1 min' });

/** What `migration` does with its decisions, and nothing else: each signal cancels the work under way and starts other work. */
export async function preempting(): Promise<void> {
  let asked = 0;
  let isOver = false;
  setHandler(defineSignal('replace'), () => {
    asked += 1;
  });
  setHandler(defineSignal('finish'), () => {
    isOver = true;
  });
  setHandler(defineQuery('asked'), () => asked);
  while (!isOver) {
    const wanted = asked;
    const scope = new CancellationScope();
    scope.run(() => work()).catch(() => undefined);
    await condition(() => isOver || asked !== wanted);
    scope.cancel();
  }
}
