import { type AskedGateway, hasAnswered, identifyGateways } from '../../../src/core/routing/gateway-identity';
import type { GatewayStatus } from '../../../src/core/routing/routing';

const at = (address: string) =>
  ({ name: `${address}:8081`, admin: `http://${address}:8081`, byAddress: true }) as const;
const says = (address: string, gateway: string, incarnation = `${gateway} ${address}`): AskedGateway => ({
  found: at(address),
  answer: { kind: 'ok', value: { gateway, incarnation } as GatewayStatus },
});
const silent = (address: string): AskedGateway => ({
  found: at(address),
  answer: { kind: 'unreachable', reason: 'connect timeout' },
});
const member = (name: string, address: string) => ({ name, admin: `http://${address}:8081` });

it('knows a gateway by the name that it reports, wherever it is', () => {
  const [found] = identifyGateways([says('10.0.0.9', 'gw-0')], [member('gw-0', '10.0.0.1')]);
  expect(found).toMatchObject({ gateway: member('gw-0', '10.0.0.9'), answer: { kind: 'ok' }, doubles: [] });
});

it('knows one that reports no name by its address, and so one whom the roster of an older release knows by that', () => {
  expect(identifyGateways([says('10.0.0.1', '')], [])[0]?.gateway.name).toBe('10.0.0.1:8081');
  const roster = [member('10.0.0.1:8081', '10.0.0.1')];
  expect(identifyGateways([says('10.0.0.1', 'gw-0')], roster)[0]?.gateway.name).toBe('10.0.0.1:8081');
});

it('takes a silent address for whom the roster last saw there, and for nobody where that one answers elsewhere', () => {
  const roster = [member('gw-0', '10.0.0.1'), member('gw-1', '10.0.0.2')];
  const found = identifyGateways([silent('10.0.0.1'), says('10.0.0.9', 'gw-0'), silent('10.0.0.2')], roster);
  expect(found.map(({ gateway, answer }) => [gateway, answer.kind])).toEqual([
    [member('gw-0', '10.0.0.9'), 'ok'],
    [member('gw-1', '10.0.0.2'), 'unreachable'],
  ]);
  expect(identifyGateways([silent('10.0.0.7')], roster).filter(hasAnswered)).toEqual([]);
});

it('names two gateways that report the same name, and merges neither', () => {
  const [found, ...others] = identifyGateways([says('10.0.0.1', 'gw-0'), says('10.0.0.2', 'gw-0')], []);
  expect(others).toEqual([]);
  expect(found?.doubles.map(({ gateway }) => gateway.admin)).toEqual([
    'http://10.0.0.1:8081',
    'http://10.0.0.2:8081',
  ]);
  expect(found?.answer).toEqual({
    kind: 'unreachable',
    reason: expect.stringContaining(
      '2 gateways report the name "gw-0", at http://10.0.0.1:8081 and http://10.0.0.2:8081',
    ),
  });
});

it('counts one process with two addresses once', () => {
  const found = identifyGateways([says('10.0.0.1', 'gw-0', 'i'), says('10.0.0.2', 'gw-0', 'i')], []);
  expect(found).toMatchObject([{ gateway: member('gw-0', '10.0.0.1'), answer: { kind: 'ok' }, doubles: [] }]);
});
