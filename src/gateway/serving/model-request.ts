import type { MappedBody } from '../request/model-mapping';
import type { RequestFacts } from '../request/request-facts';
import type { PermitPurpose } from '../routing/candidate-permits';
import type { AttemptLimits, AttemptOptions } from '../upstream/attempt-options';
import type { Provider } from '../upstream/provider';
import type { Call } from './call/call';

/** What differs between the attempts at a request that names a model. */
export interface AskedModel {
  readonly provider: Provider;
  readonly mapped: MappedBody;
  readonly holds: boolean;
  /** Its answer may be shown to a judge. */
  readonly keeps: boolean;
  readonly replayable: boolean;
  readonly limits: AttemptLimits;
  /** What the candidate is asked for, and the epoch of the draw; null asks legacy. */
  readonly permitted: { readonly purpose: PermitPurpose; readonly epoch: number } | null;
}

/** A request that names a model as it is asked of one provider: drawn, copied or asked again, all in one form. */
export function modelRequest(
  call: Call,
  facts: RequestFacts,
  { provider, mapped, holds, keeps, replayable, limits, permitted }: AskedModel,
): AttemptOptions {
  const { caller, path, query, route, traffic, services } = call;
  return {
    provider,
    caller,
    method: 'POST',
    path: provider.path(path, query, caller),
    headers: provider.headers(call.forward(), caller, services.now()),
    body: mapped.body,
    endpoint: traffic.endpoint,
    streams: facts.stream,
    mayStream: facts.oddStream,
    choices: facts.choices,
    asks: facts.asks,
    keeps,
    holds,
    reads: true,
    removesUsage: mapped.addsUsage,
    replayable,
    limits,
    maxHeldBytes: services.configuration.gateway.maxBodyBytes,
    // Last: a permit that is taken must be given back, and what stands above can throw.
    permit: permitted === null ? null : route.state.permit(permitted.epoch, permitted.purpose),
  };
}
