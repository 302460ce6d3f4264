import { formatShare } from '../../core/plan/plan';
import type { GatewayView } from '../view/gateway-view';
import type { MigrationView } from '../view/migration-view';
import { countText, rateText } from '../view/number-text';
import type { FrameOptions } from './frame-options';
import { type Line, type Style, span } from './styled-line';

/** Where the addresses of gateways are shown. */
const ADDRESSES_FROM = 110;

/** What a gateway serves and whether it answers. */
export function gatewayLine(
  { name, address, state, note, asked, serving, measured, requests, epoch }: GatewayView,
  view: MigrationView,
  { columns }: FrameOptions,
): Line {
  const widest = Math.max(...view.gateways.map((gateway) => gateway.name.length));
  const style: Style =
    state === 'killed' || state === 'silent' ? 'bad' : state === 'behind' ? 'warning' : 'plain';
  const facts = [
    ...(serving === null
      ? []
      : [`asked ${formatShare(asked)}`, `serves ${formatShare(serving)}`, `measured ${rateText(measured)}`]),
    ...(requests === null ? [] : [`${countText(requests)} requests`]),
    ...(epoch === null ? [] : [`epoch ${epoch}`]),
    ...(note === '' ? [] : [note]),
    ...(address === null || columns < ADDRESSES_FROM ? [] : [`at ${address}`]),
  ];
  const word = state === 'unknown' ? '' : state === 'silent' ? 'no answer' : state;
  return [
    span(name.padEnd(widest), 'strong'),
    span(`  ${word.padEnd(9)} `, style),
    span(facts.join('  '), 'dim'),
  ];
}
