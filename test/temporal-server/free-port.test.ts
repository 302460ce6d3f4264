import { freePorts, portProblem } from '../../src/temporal-server/free-port';

const IP = '127.0.0.1';
/** Linux gives ports from here on to connections, and to listeners that ask for any; others begin higher. */
const SYSTEM_PORTS = 32_768;

it('gives ports that can be listened on, each different', async () => {
  const ports = await freePorts(IP, 50);
  expect(new Set(ports).size).toBe(50);
  expect(await Promise.all(ports.map((port) => portProblem(IP, port)))).toEqual(ports.map(() => undefined));
});

it('gives none that the system hands out by itself, to whom it may be gone a moment later', async () => {
  for (const port of await freePorts(IP, 50)) expect(port).toBeLessThan(SYSTEM_PORTS);
});
