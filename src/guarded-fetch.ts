import { lookup } from 'node:dns';
import { Agent, buildConnector, fetch as fetchWith } from 'undici';
import { guardedLookup, refuseLiteral } from './core/access/address-guard';

const connect = buildConnector({ lookup: guardedLookup((...asked) => lookup(...asked), true) });

/** Private addresses are fine here: whoever names them may reach them. A redirect or a name can still lead astray. */
const agent = new Agent({
  connect: (options, callback) => {
    const refusal = refuseLiteral(options.hostname, true);
    if (refusal !== null) callback(refusal, null);
    else connect(options, callback);
  },
});

/** `fetch` for addresses that operators give, which never connects to link-local addresses and cloud metadata. */
export const guardedFetch: typeof fetch = (input, init) =>
  fetchWith(input as string, { ...(init as object), dispatcher: agent }) as unknown as Promise<Response>;
