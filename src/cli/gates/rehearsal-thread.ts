import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { StagePlan } from '../../core/plan/plan';
import type { Traffic } from '../../core/plan/traffic';
import { rehearseStage, type StageRehearsal } from '../../core/rehearsal/rehearsal-run';
import { SCENARIOS } from '../../core/rehearsal/rehearsal-scenario';

/** Some runs of one scenario in one stage: those with the seeds from `fromSeed`. */
export interface RehearsalJob {
  readonly stage: StagePlan;
  readonly before?: StagePlan;
  readonly traffic: Traffic;
  readonly scenario: string;
  readonly fromSeed: number;
  readonly runs: number;
}

/** Runs all jobs over so many threads; results come in the order of the jobs, whatever thread did them. */
export async function rehearseJobs(
  jobs: readonly RehearsalJob[],
  threads: number,
  onDone: (runs: number) => void,
): Promise<StageRehearsal[][]> {
  const results: StageRehearsal[][] = jobs.map(() => []);
  let next = 0;
  const serve = async () => {
    const worker = new Worker(__filename);
    try {
      while (next < jobs.length) {
        const index = next;
        next += 1;
        const answered = once(worker, 'message') as Promise<[StageRehearsal[]]>;
        worker.postMessage(jobs[index]);
        const [done] = await answered;
        results[index] = done;
        onDone(done.length);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, jobs.length) }, serve));
  return results;
}

function run({ scenario: name, fromSeed, runs, ...job }: RehearsalJob): StageRehearsal[] {
  const scenario = SCENARIOS.find((known) => known.name === name);
  if (scenario === undefined) throw new RangeError(`expected a scenario that is known, got "${name}"`);
  return Array.from({ length: runs }, (_, index) =>
    rehearseStage({ ...job, scenario, seed: fromSeed + index }),
  );
}

if (!isMainThread) {
  parentPort?.on('message', (job: RehearsalJob) => parentPort?.postMessage(run(job)));
}
