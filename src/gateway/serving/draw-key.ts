import type { OpeningUse } from '../evidence/key-statistics';
import { openingKey } from '../request/conversation-opening';
import { assignmentKey, type RequestFacts } from '../request/request-facts';
import type { Call } from './call/call';

/** By what a request is drawn: one key as long as a conversation lasts, or null for each request on its own. */
export interface DrawKey {
  readonly key: string | null;
  readonly opening: OpeningUse;
}

const ON_ITS_OWN: DrawKey = { key: null, opening: 'unused' };
const SHARED: DrawKey = { key: null, opening: 'shared' };

/** The key that the caller gives, else the beginning of the conversation where the route goes by that. */
export function drawKey({ route, head, body }: Call, facts: RequestFacts): DrawKey {
  const { stickyKey } = route.state;
  if (stickyKey === 'none') return ON_ITS_OWN;
  route.openings.countRequest();
  const key = assignmentKey(stickyKey, head.sticky, body, facts);
  if (key !== null) return { key, opening: 'unused' };
  const { opening } = facts;
  if (opening === null || !(route.configuration.openingKeys ?? stickyKey === 'body')) return ON_ITS_OWN;
  const ofOpening = openingKey(body, opening);
  if (ofOpening === null) return ON_ITS_OWN;
  return route.openings.isShared(ofOpening, opening.messages) ? SHARED : { key: ofOpening, opening: 'keyed' };
}
