import { cpSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gatewayName } from '../../../src/gateway/routing/gateway-name';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';

const root = temporaryDirectory();
const directory = (name: string) => join(root, name);

it('keeps the name in the state directory, so that a restart elsewhere is the same gateway', () => {
  expect(gatewayName(directory('a'), 'gw-0', () => undefined)).toBe('gw-0');
  expect(gatewayName(directory('a'), undefined, () => undefined)).toBe('gw-0');
  expect(gatewayName(directory('b'), undefined, () => undefined)).toBe(hostname());
});

it('goes by the name that is given, and warns where the directory was another one of before', () => {
  const warnings: string[] = [];
  gatewayName(directory('c'), 'gw-1', (message) => warnings.push(message));
  expect(warnings).toEqual([]);
  expect(gatewayName(directory('c'), 'gw-2', (message) => warnings.push(message))).toBe('gw-2');
  expect(warnings).toEqual([expect.stringContaining('was called gw-1 and is now called gw-2')]);
  expect(gatewayName(directory('c'), undefined, () => undefined)).toBe('gw-2');
});

it('keeps the name in a copy of the directory: workers see two of one name', () => {
  gatewayName(directory('d'), 'gw-3', () => undefined);
  cpSync(directory('d'), directory('e'), { recursive: true });
  expect(gatewayName(directory('e'), undefined, () => undefined)).toBe('gw-3');
});

it('serves under the name that it was given where the directory cannot be written', () => {
  const warnings: string[] = [];
  mkdirSync(join(directory('f'), 'gateway.name'), { recursive: true });
  expect(gatewayName(directory('f'), 'gw-4', (message) => warnings.push(message))).toBe('gw-4');
  expect(warnings).toEqual([expect.stringContaining('cannot be kept')]);
});
