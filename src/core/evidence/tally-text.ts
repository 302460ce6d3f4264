import { costAtLegacy, type TrafficTally, unanswered } from './traffic-tally';

/** What callers noticed, in a sentence without its full stop; null where no window has said. */
export function callersText(tally: TrafficTally | undefined): string | null {
  if (tally === undefined) return null;
  const { candidate, rescued, windows } = tally;
  const lost = unanswered(tally);
  const of = `${count(candidate.requests, 'request')} that the candidate got in ${count(windows, 'window')}`;
  const answered = rescued === 0 ? '' : `; legacy answered ${whole(rescued)} that it failed`;
  return lost === 0
    ? `callers noticed 0 failures of ${of}${answered}`
    : `callers noticed ${count(lost, 'failure')} of ${of}${answered}`;
}

/** What it cost and saved, in a sentence without its full stop; null where nothing is priced or no window has said. */
export function moneyText(tally: TrafficTally | undefined): string | null {
  if (tally === undefined || tally.candidate.priced === 0) return null;
  const { candidate, rescueUsd } = tally;
  const spent = `${usd(candidate.costUsd)} spent at the candidate for ${count(candidate.priced, 'request')}`;
  const again = rescueUsd > 0 ? ` and ${usd(rescueUsd)} to answer its failures at legacy` : '';
  const before = costAtLegacy(tally);
  if (before === null) return `${spent}${again}`;
  const saved = before - candidate.costUsd - rescueUsd;
  const change = saved >= 0 ? `${usd(saved)} saved` : `${usd(-saved)} more`;
  return `${spent}${again}: ${change} against ${usd(before)} by legacy's mean price`;
}

function count(value: number, what: string): string {
  return `${whole(value)} ${what}${value === 1 ? '' : 's'}`;
}

function whole(value: number): string {
  return value.toLocaleString('en-US');
}

/** Two digits that matter below a dime, cents above. */
function usd(value: number): string {
  if (value >= 1_000) return `$${Math.round(value).toLocaleString('en-US')}`;
  return value >= 0.1 || value === 0 ? `$${value.toFixed(2)}` : `$${Number(value.toPrecision(2))}`;
}
