import { lookup } from 'node:dns';
import { connect } from 'node:net';
import { ForbiddenAddress, guardedLookup, refuseLiteral } from '../../core/access/address-guard';
import { EffectProblem } from '../../core/effects/effect-problem';

export interface DnsAddress {
  readonly host: string;
  readonly port: number;
  /** Whether it may be loopback or private. */
  readonly allowPrivate: boolean;
}

/** Sends one DNS message over TCP (RFC 1035, 4.2.2) and gives back the answer; throws `EffectProblem`. */
export function exchange(
  { host, port, allowPrivate }: DnsAddress,
  message: Buffer,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const refusal = refuseLiteral(host, allowPrivate);
    if (refusal !== null) {
      reject(new EffectProblem(`the DNS server ${host}:${port}: ${refusal.message}`, false));
      return;
    }
    const socket = connect({
      host,
      port,
      lookup: guardedLookup((...asked) => lookup(...asked), allowPrivate),
    });
    const chunks: Buffer[] = [];
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.destroy();
      settle();
    };
    const fail = (what: string) =>
      end(() => reject(new EffectProblem(`the DNS server ${host}:${port} ${what}`, true)));
    const abort = () => end(() => reject(signal.reason));
    const timer = setTimeout(() => fail(`did not answer within ${timeoutMs} ms`), timeoutMs);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.write(Buffer.concat([length, message]));
    });
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      const all = Buffer.concat(chunks);
      if (all.length < 2) return;
      const wanted = 2 + all.readUInt16BE(0);
      if (all.length >= wanted) end(() => resolve(all.subarray(2, wanted)));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error instanceof ForbiddenAddress) {
        end(() => reject(new EffectProblem(`the DNS server ${host}:${port}: ${error.message}`, false)));
      } else fail(`cannot be reached (${error.code ?? error.message})`);
    });
    socket.on('close', () => fail('closed the connection without an answer'));
  });
}
