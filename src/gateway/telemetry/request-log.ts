import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import pino, { type DestinationStream, type Logger } from 'pino';
import { visibleJson } from '../../core/text/visible-text';
import { LineBuffer } from './line-buffer';

/** Where the log goes: standard output, a file, a stream of one's own, or nowhere. */
export type LogTarget = 'stdout' | 'none' | { readonly file: string } | DestinationStream;

/** The gateway's log: one structured line a request, without contents and keys. */
export interface GatewayLog {
  readonly logger: Logger;
  /** Writes the line of one request, which `requestLine` has made; null when there is no log. */
  readonly request: ((line: string) => void) | null;
  /** What every line says besides level and time. */
  readonly base: string;
  /** Writes what is buffered; to be called before the process ends. */
  flush(): void;
}

/** Reading ends of pipes, such as Docker's, take 16 KB at a time. */
const PIPE_BYTES = 16_384;
/** More may be torn apart where several processes write to one pipe (PIPE_BUF of Linux). */
const SHARED_PIPE_BYTES = 4_096;
const FILE_BYTES = 65_536;
const BUFFERED_MS = 1_000;
/** Lines that cannot be written wait in memory up to this; later ones are dropped. */
const UNWRITTEN_BYTES = 16_777_216;

/**
 * Opens the log; lines of requests are written each second or when there are many, so that none waits. `shared`:
 * other processes write to it as well.
 */
export function openLog(target: LogTarget, gateway: string, shared = false): GatewayLog {
  const base = `"gateway":${JSON.stringify(gateway)}`;
  if (target === 'none') return { logger: pino({ enabled: false }), request: null, base, flush: () => {} };
  const open = (destination: DestinationStream) =>
    pino(
      { base: { gateway }, timestamp: pino.stdTimeFunctions.epochTime },
      { write: (line: string) => void destination.write(visibleJson(line)) },
    );
  if (isStream(target)) {
    return { logger: open(target), request: (line) => void target.write(line), base, flush: () => {} };
  }
  const pipeBytes = shared ? SHARED_PIPE_BYTES : PIPE_BYTES;
  const capacity = target === 'stdout' ? pipeBytes : FILE_BYTES;
  const dest = target === 'stdout' ? 1 : target.file;
  if (typeof dest === 'string') checkWritable(dest);
  const destination = pino.destination({
    ...{
      dest,
      sync: false,
      contentMode: 'buffer',
      maxWrite: capacity,
      mkdir: true,
      maxLength: UNWRITTEN_BYTES,
    },
  });
  let opened = false;
  destination.once('ready', () => {
    opened = true;
  });
  destination.on('error', (error: Error) => {
    // A disk that is full later, or a reader that is gone, costs lines of the log and not the gateway.
    if (!opened) throw error;
  });
  const lines = new LineBuffer({
    capacity,
    delayMs: BUFFERED_MS,
    // Typed for strings only, which it does not take in this mode.
    pass: (bytes) => void (destination as unknown as { write(bytes: Buffer): boolean }).write(bytes),
  });
  return {
    logger: open({
      write: (line) => {
        lines.add(line);
        lines.flush();
      },
    }),
    request: (line) => lines.add(line),
    base,
    flush: () => {
      lines.flush();
      try {
        destination.flushSync();
      } catch {
        // A destination that never opened has nothing to flush.
      }
    },
  };
}

/** Throws the system's error: the destination opens its file later, when nobody waits for what comes of it. */
function checkWritable(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  // To open a pipe waits for its reader.
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== false) closeSync(openSync(file, 'a'));
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
