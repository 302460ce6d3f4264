import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/** Below what systems give to connections and to listeners that ask for any port (from 32768 on Linux, 49152 elsewhere). */
const FIRST_PORT = 10_000;
const PORTS_END = 32_768;
const MOST_TRIES = 1_000;

/**
 * Ports that nobody listens on, each different, drawn at random where the system takes none by itself: a port that it had
 * given us would be free for a moment only, and go to the next connection or listener that asks for any.
 */
export async function freePorts(ip: string, count: number): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (let tries = 1; servers.length < count; tries += 1) {
      const port = tries > MOST_TRIES ? 0 : randomInt(FIRST_PORT, PORTS_END);
      const server = await listen(ip, port).catch((error: unknown) => {
        if (port === 0 || !isTaken(error)) throw error;
        return null;
      });
      if (server !== null) servers.push(server);
    }
    return servers.map((server) => (server.address() as { port: number }).port);
  } finally {
    await Promise.all(servers.map(close));
  }
}

/** Another listens there, or a firewall of the system keeps it. */
function isTaken(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' || code === 'EACCES';
}

/** Why a port cannot be listened on, such as EADDRINUSE; undefined when it can. */
export async function portProblem(ip: string, port: number): Promise<string | undefined> {
  try {
    await close(await listen(ip, port));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function listen(ip: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: ip, port, exclusive: true }, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
