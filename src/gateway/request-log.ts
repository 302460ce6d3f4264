import pino, { type DestinationStream, type Logger } from 'pino';

/** Where the log goes: standard output, a file, a stream of one's own, or nowhere. */
export type LogTarget = 'stdout' | 'none' | { readonly file: string } | DestinationStream;

/** The gateway's log: one structured line a request, without contents and keys. */
export interface GatewayLog {
  readonly logger: Logger;
  /** Writes the line of one request, which `requestLine` has made; null when there is no log. */
  readonly request: ((line: string) => void) | null;
  /** What every line begins with after level and time. */
  readonly base: string;
  /** Writes what is buffered; to be called before the process ends. */
  flush(): void;
}

const BUFFERED_BYTES = 32_768;

/** Opens the log; lines are buffered and written every second or 32 KB, so that a request never waits. */
export function openLog(target: LogTarget, gateway: string): GatewayLog {
  if (target === 'none')
    return { logger: pino({ enabled: false }), request: null, base: '', flush: () => {} };
  const destination = isStream(target)
    ? target
    : pino.destination({
        dest: target === 'stdout' ? 1 : target.file,
        sync: false,
        minLength: BUFFERED_BYTES,
        maxWrite: 2 * BUFFERED_BYTES,
        periodicFlush: 1_000,
        mkdir: true,
      });
  const logger = pino({ base: { gateway }, timestamp: pino.stdTimeFunctions.epochTime }, destination);
  return {
    logger,
    base: `"gateway":${JSON.stringify(gateway)}`,
    request: (line) => void destination.write(line),
    flush: () => {
      if ('flushSync' in destination && typeof destination.flushSync === 'function') {
        try {
          destination.flushSync();
        } catch {
          // A destination that never opened has nothing to flush.
        }
      }
    },
  };
}

function isStream(target: LogTarget): target is DestinationStream {
  return typeof target === 'object' && 'write' in target;
}

/** What one attempt did and why it was made, as the request's log line tells it. */
export interface AttemptNote {
  readonly provider: string;
  readonly purpose: string;
  readonly outcome: string;
  readonly why?: string;
  readonly status?: number;
  readonly ms: number;
}
