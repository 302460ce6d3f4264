import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** What a name may be: it stands in logs, metrics and records. */
const NAME = /^[\w.:-]{1,200}$/;

/** Whether a text can be a gateway's name. */
export function isGatewayName(text: string): boolean {
  return NAME.test(text);
}

/**
 * The name by which a gateway is known wherever it runs: the given one, else the one that its state directory keeps,
 * else the host's. The state directory keeps it from then on, so that a restart on another host is no new gateway.
 */
export function gatewayName(
  stateDirectory: string,
  given: string | undefined,
  warn: (message: string) => void,
): string {
  const path = join(stateDirectory, 'gateway.name');
  const kept = readName(path);
  const name = given ?? kept ?? hostname();
  if (name === kept) return name;
  if (kept !== null) {
    warn(
      `The gateway of ${stateDirectory} was called ${kept} and is now called ${name}: workers take it for another gateway.`,
    );
  }
  try {
    mkdirSync(stateDirectory, { recursive: true });
    writeFileSync(path, `${name}\n`);
  } catch (error) {
    warn(`The gateway's name cannot be kept in ${path}: ${(error as Error).message}`);
  }
  return name;
}

function readName(path: string): string | null {
  try {
    const name = readFileSync(path, 'utf8').trim();
    return isGatewayName(name) ? name : null;
  } catch {
    return null;
  }
}
