import { createServer, type Server } from 'node:net';

/** Ports that nobody listens on, each different; taken by the system, so free for a moment only. */
export async function freePorts(ip: string, count: number): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (let i = 0; i < count; i++) servers.push(await listen(ip, 0));
    return servers.map((server) => (server.address() as { port: number }).port);
  } finally {
    await Promise.all(servers.map(close));
  }
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
