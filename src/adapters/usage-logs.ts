import type { Configuration } from '../core/configuration/configuration-schema';
import type { UsagePort, UsageProgress } from '../ports';
import { providerInquiry } from './openai/provider-inquiry';

/** What an analysis needs beside the plan. */
export interface UsageLogsOptions {
  readonly configuration: Configuration;
  readonly resolveSecret: (reference: string) => string;
  readonly readDocument: (path: string) => unknown;
}

/** Usage logs on this machine, by the same code as `cutover assess`. */
export function createUsageLogs({ configuration, resolveSecret, readDocument }: UsageLogsOptions): UsagePort {
  return {
    async analyse({ route, plan, effort }, { progress, signal, earlier }) {
      // The engine's native library is loaded by workers that are asked to analyse, and by no others.
      const { assessAsPlanned } = await import('../assess/planned-assessment.js');
      let told: UsageProgress = {
        phase: 'opening',
        done: null,
        filesRead: 0,
        files: null,
        rows: 0,
        folder: earlier?.folder ?? null,
      };
      const tell = (change: Partial<UsageProgress>) => {
        told = { ...told, ...change };
        progress(told);
      };
      return assessAsPlanned(route, plan, {
        configuration,
        readDocument,
        inquire: (provider) => providerInquiry(provider, resolveSecret),
        effort,
        now: new Date(),
        signal,
        progress: (phase, done) => tell({ phase, done }),
        loaded: (sources, files) =>
          tell({ filesRead: sources.length, files, rows: sources.reduce((sum, { rows }) => sum + rows, 0) }),
        attempt: {
          earlier: earlier?.folder ?? null,
          opened: (folder) => tell({ folder }),
          goesOnAfter: isShutdown,
        },
      });
    },
  };
}

/** A worker that is stopped leaves what it has read to the attempt that follows it. */
function isShutdown(reason: unknown): boolean {
  return reason instanceof Error && reason.message === 'WORKER_SHUTDOWN';
}
