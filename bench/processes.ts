import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../src/temporal-server/free-port';
import { readOptions, runBench } from './bench-program';
import { CpuQuota } from './gateway/cpu-quota';
import { type Measured, measurePlain } from './gateway/measure';
import type { Started } from './gateway/pinned-process';
import { type ProviderPorts, type Subject, startOwnSubject, startPlainProviders } from './gateway/subjects';

/**
 * What a second process adds to a gateway. On a machine with two cores the load would compete with the gateway for
 * them, so the gateway gets a part of its cores only: one process `--part` of a core, two processes twice that on
 * both cores, by a CPU quota of the kernel. Load and provider have what is left, and are never what is waited for.
 * Needs Linux with cgroup v1 as root, taskset, nginx and wrk.
 */
const flags = readOptions('bench:processes', 'Measures what a second process adds to a gateway.', {
  rounds: ['rounds, besides one to warm up', 5],
  seconds: ['how long each of the two is measured in a round', 4],
  part: ['the part of a core that each process gets', 0.3],
  connections: ['connections of the load', 64],
  json: ['prints one line of JSON', false],
});

const BOTH_CORES = '0,1';
const CORES = 2;
const stops: Started[] = [];
const quotas: CpuQuota[] = [];

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
  const load = new CpuQuota('load', CORES);
  load.join();
  try {
    const ports = await freePorts('127.0.0.1', 8);
    const port = (index: number) => ports[index] as number;
    // Streams are not measured here: their providers need not exist.
    const providers: ProviderPorts = { plain: [port(0), port(1)], stream: [port(2), port(3)] };
    stops.push(await startPlainProviders(folder, providers.plain));
    const one = await startGateway(folder, 1, { data: port(4), admin: port(5) }, providers);
    const two = await startGateway(folder, 2, { data: port(6), admin: port(7) }, providers);
    const rounds: [Measured, Measured][] = [];
    for (let round = 0; round <= flags.rounds; round += 1) {
      // Round 0 warms up and is thrown away.
      const options = { folder, seconds: flags.seconds };
      const measured: [Measured, Measured] = [
        await measurePlain(one, flags.connections, options),
        await measurePlain(two, flags.connections, options),
      ];
      if (round > 0) rounds.push(measured);
      process.stderr.write(`round ${round} of ${flags.rounds} done\n`);
    }
    report(rounds);
  } finally {
    for (const started of [...stops, ...quotas]) await started.stop();
    load.leave();
    await load.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startGateway(
  folder: string,
  processes: number,
  ports: { readonly data: number; readonly admin: number },
  providers: ProviderPorts,
): Promise<Subject> {
  const quota = new CpuQuota(`${processes}`, processes * flags.part);
  quotas.push(quota);
  const { subject } = await startOwnSubject(join(folder, `own-${processes}`), ports, providers, [], {
    settings: { processes },
    start: (command, args, env) => quota.start(BOTH_CORES, command, args, env),
  });
  return subject;
}

function report(rounds: readonly (readonly [Measured, Measured])[]): void {
  const of = (read: (round: readonly [Measured, Measured]) => number) => median(rounds.map(read));
  const result = {
    rounds: rounds.length,
    onePerSecond: Math.round(of(([one]) => one.perSecond)),
    twoPerSecond: Math.round(of(([, two]) => two.perSecond)),
    throughput: of(([one, two]) => two.perSecond / one.perSecond),
    oneCpuMicros: of(([one]) => one.cpuMicros),
    twoCpuMicros: of(([, two]) => two.cpuMicros),
    oneMb: of(([one]) => one.residentMb),
    twoMb: of(([, two]) => two.residentMb),
    failed: rounds.flat().reduce((sum, { failed }) => sum + failed, 0),
  };
  if (flags.json) {
    console.log(JSON.stringify(result));
    return;
  }
  const { onePerSecond, twoPerSecond, oneCpuMicros, twoCpuMicros, oneMb, twoMb } = result;
  console.log(
    `plain, ${flags.connections} connections; medians of ${result.rounds} rounds, ratios within rounds`,
  );
  console.log(`each process ${flags.part} of a core, load and provider have the rest`);
  console.log(
    `1 process:   ${onePerSecond} a second, ${oneCpuMicros.toFixed(1)} us CPU per request, ${oneMb.toFixed(0)} MB`,
  );
  console.log(
    `2 processes: ${twoPerSecond} a second, ${twoCpuMicros.toFixed(1)} us CPU per request, ${twoMb.toFixed(0)} MB`,
  );
  console.log(`throughput x one: ${result.throughput.toFixed(2)}; failed: ${result.failed}`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

void runBench('bench:processes', main);
