import type { MappedBody } from '../request/model-mapping';
import type { RequestFacts } from '../request/request-facts';
import type { CandidatePermit } from '../routing/candidate-permits';
import type { AttemptLimits, AttemptOptions } from '../upstream/attempt-options';
import type { Provider } from '../upstream/provider';
import type { Call } from './call';

/** What differs between the attempts at a request that names a model. */
export interface AskedModel {
  readonly provider: Provider;
  readonly mapped: MappedBody;
  readonly holds: boolean;
  readonly replayable: boolean;
  readonly limits: AttemptLimits;
  readonly permit: CandidatePermit | null;
}

/** A request that names a model as it is asked of one provider: drawn, copied or asked again, all in one form. */
export function modelRequest(
  { caller, path, query, head, traffic, services }: Call,
  facts: RequestFacts,
  { provider, mapped, holds, replayable, limits, permit }: AskedModel,
): AttemptOptions {
  return {
    provider,
    caller,
    method: 'POST',
    path: provider.path(path, query, caller),
    headers: provider.headers(head.forward, caller),
    body: mapped.body,
    endpoint: traffic.endpoint,
    streams: facts.stream,
    mayStream: facts.oddStream,
    choices: facts.choices,
    holds,
    reads: true,
    removesUsage: mapped.addsUsage,
    replayable,
    limits,
    maxHeldBytes: services.configuration.gateway.maxBodyBytes,
    permit,
  };
}
