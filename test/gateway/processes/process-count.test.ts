import {
  type Configuration,
  configurationSchema,
} from '../../../src/core/configuration/configuration-schema';
import { configurationOfOne, countProcesses } from '../../../src/gateway/processes/process-count';

function configuration(gateway: object, candidate: object = {}): Configuration {
  return configurationSchema.parse({
    providers: {
      old: { baseUrl: 'http://127.0.0.1:1/v1' },
      new: { baseUrl: 'http://127.0.0.1:2/v1', ...candidate },
    },
    routes: { chat: { legacy: 'old', candidate: 'new', replayBudget: { burst: 5 } } },
    gateway,
  });
}

it.each([
  ['one by default', {}, {}, 8, 1],
  ['as many as configured, whatever the cores', { processes: 3 }, {}, 1, 3],
  ['one for each core', { processes: 'auto' }, {}, 4, 4],
  ['no more than the bytes for bodies can be divided among', { processes: 'auto' }, {}, 64, 5],
  ['no more than the candidate takes requests', { processes: 'auto' }, { maxConcurrent: 3 }, 64, 3],
  ['one where nothing can be divided', { processes: 'auto', maxBufferedBytes: 1024 }, {}, 64, 1],
])('takes %s', (_what, gateway, candidate, cores, expected) => {
  expect(countProcesses(configuration(gateway, candidate), cores)).toBe(expected);
});

it('refuses to divide what is too little, and names it', () => {
  expect(() => countProcesses(configuration({ processes: 4 }, { maxConcurrent: 3 }), 4)).toThrow(
    'expected providers.new.maxConcurrent of at least 4 with gateway.processes: 4, which divides it, got 3',
  );
  expect(() => countProcesses(configuration({ processes: 9 }), 4)).toThrow('gateway.maxBufferedBytes');
});

it('divides the limits of the gateway, and gives each process what it cannot do without', () => {
  const one = configurationOfOne(
    configuration({ processes: 3 }, { maxConcurrent: 10, maxConnections: 7 }),
    3,
  );
  expect(one.providers['new']).toMatchObject({ maxConcurrent: 3, maxConnections: 2 });
  expect(one.gateway.maxBufferedBytes).toBe(89_478_485);
  expect(one.routes['chat']?.replayBudget).toEqual({ ratio: 0.1, burst: 2 });
});

it.each([0, 257, 1.5, 'all'])('refuses %p as a number of processes', (processes) => {
  expect(() => configuration({ processes })).toThrow('expected a number from 1 to 256, or');
});
