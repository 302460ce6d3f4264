import { keysText } from '../../../src/core/routing/gateway-status-text';
import type { GatewayStatus, KeyStatistics } from '../../../src/core/routing/routing';

function withKeys(keyedRequests: number, openings?: KeyStatistics['openings']): GatewayStatus {
  const keys = { distinct: 1, heaviestShare: 0, aaLow: 0, aaTotal: 0, keyedRequests };
  return { keys: openings === undefined ? keys : { ...keys, openings } } as GatewayStatus;
}

it.each([
  ['nothing without keys', [withKeys(0), withKeys(0, { keyed: 0, shared: 0 })], null],
  [
    'all gateways together, those of earlier releases too',
    [withKeys(5), withKeys(30, { keyed: 20, shared: 7 }), withKeys(1, { keyed: 1, shared: 0 })],
    'requests of the last day drawn 15 by the keys of their callers; 21 by how their conversation begins; 7 one by one, because more than 1% begin in the same way',
  ],
  [
    'openings alone',
    [withKeys(20, { keyed: 20, shared: 0 })],
    'requests of the last day drawn 20 by how their conversation begins',
  ],
])('says by which keys requests were drawn: %s', (_what, statuses, text) => {
  expect(keysText(statuses)).toBe(text);
});
