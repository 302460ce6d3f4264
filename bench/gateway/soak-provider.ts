import {
  EITHER,
  type Fault,
  PLAIN,
  STREAM,
  startFaultProvider,
  well,
} from '../../test/support/providers/fault-provider';

/**
 * A provider for the soak, run as a process of its own: `node soak-provider.js PORT WELL_RATIO`. Answers well
 * with that probability, and else in each way of the fault table in turn. GET answers how often each came.
 */
const [port, wellRatio] = process.argv.slice(2).map(Number) as [number, number];

const faults = {
  plain: Object.entries({ ...EITHER, ...PLAIN }),
  stream: Object.entries({ ...EITHER, ...STREAM }),
};
const turns = { plain: 0, stream: 0 };
const counts: Record<string, number> = {};

const fault: Fault = (exchange) => {
  if (exchange.response.req.method === 'GET') {
    exchange.response.end(JSON.stringify(counts));
    return;
  }
  const kind = exchange.stream ? 'stream' : 'plain';
  let name = 'well';
  let act = well;
  if (Math.random() >= wellRatio) {
    const row = faults[kind][turns[kind] % faults[kind].length];
    turns[kind] += 1;
    if (row !== undefined) [name, [act]] = row;
  }
  counts[`${kind}: ${name}`] = (counts[`${kind}: ${name}`] ?? 0) + 1;
  act(exchange);
};

void startFaultProvider(fault, port).then((provider) => {
  // Nobody reads what was asked.
  setInterval(() => provider.bodies.splice(0), 1_000);
});
