import { costAtLegacy, type TrafficTally, unanswered } from './traffic-tally';

/** What callers noticed, in a sentence without its full stop; null where no window has said. */
export function callersText(tally: TrafficTally | undefined): string | null {
  if (tally === undefined) return null;
  const { candidate, rescued, windows } = tally;
  const lost = unanswered(tally);
  const of = `${count(candidate.requests, 'request')} that the candidate got in ${count(windows, 'window')}`;
  const answered = rescued === 0 ? '' : `; legacy answered ${whole(rescued)} that it failed`;
  const noticed = lost === 0 ? '0 failures' : count(lost, 'failure');
  return `callers noticed ${noticed} of ${of}${answered}${cohortText(tally)}`;
}

/** A cohort's requests were not drawn, and legacy's answers in the candidate's place are not counted there. */
function cohortText({ cohort }: TrafficTally): string {
  if (cohort === undefined) return '';
  const failed = cohort.failures === 0 ? 'none' : whole(cohort.failures);
  return `; outside both arms the candidate got ${count(cohort.requests, 'request')} of cohorts and failed ${failed}, which legacy answers`;
}

/** What it cost and saved, in a sentence without its full stop; null where nothing is priced or no window has said. */
export function moneyText(tally: TrafficTally | undefined): string | null {
  if (tally === undefined) return null;
  const { cohort } = tally;
  const apart =
    cohort === undefined || cohort.priced === 0
      ? null
      : `${usd(cohort.costUsd)} for ${count(cohort.priced, 'request')} of cohorts`;
  const drawn = drawnMoneyText(tally);
  if (drawn === null) return apart === null ? null : `${apart} spent at the candidate`;
  return apart === null ? drawn : `${drawn}; besides, ${apart}`;
}

/** Of the requests that were drawn. */
function drawnMoneyText(tally: TrafficTally): string | null {
  if (tally.candidate.priced === 0) return null;
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
