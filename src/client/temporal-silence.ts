import { connect } from 'node:net';

const PATIENCE_MS = 1_000;

/** Why a Temporal service could not be talked to, and what to do. */
export interface Silence {
  readonly problem: string;
  readonly fix: string;
}

/**
 * What a bare connection to `host:port` shows of a Temporal service that could not be talked to. `withTls`: whether it
 * was asked over TLS.
 */
export async function silenceOf(address: string, withTls: boolean): Promise<Silence> {
  const other = 'TEMPORAL_ADDRESS or --address names another';
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(address.slice(colon + 1));
  if (colon === -1 || host.includes('/') || !Number.isInteger(port) || port < 1 || port > 65_535) {
    return { problem: 'it is not HOST:PORT', fix: 'give one such as 127.0.0.1:7233' };
  }
  switch (await problemOf(host, port)) {
    case null:
      return withTls
        ? {
            problem: 'something listens there, but no TLS connection to it could be made',
            fix: 'look at the TEMPORAL_TLS_* variables, or unset TEMPORAL_TLS if it speaks no TLS',
          }
        : {
            problem: 'something listens there, but Temporal does not answer',
            fix: `set TEMPORAL_TLS=true if it speaks TLS; it may also hang; ${other}`,
          };
    case 'ECONNREFUSED':
      return {
        problem: 'nothing listens there',
        fix: `\`cutover up\` starts one on this machine; ${other}`,
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { problem: `the name ${host} cannot be resolved`, fix: other };
    default:
      return { problem: 'it cannot be reached', fix: `is it running there? ${other}` };
  }
}

/** The system's code of what went wrong; null where a connection was opened. */
function problemOf(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PATIENCE_MS });
    const end = (problem: string | null) => {
      socket.destroy();
      resolve(problem);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end('ETIMEDOUT'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'unknown'));
  });
}
