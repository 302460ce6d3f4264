/** Requests and their events of both arms, in this order: legacy's requests, its events, the candidate's two. */
export type RateNumbers = readonly [number, number, number, number];

/** Of no request. */
export const NO_RATES: RateNumbers = [0, 0, 0, 0];

/** Counts of two windows together; what is absent is nothing. */
export function addRates(a: RateNumbers = NO_RATES, b: RateNumbers = NO_RATES): RateNumbers {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]];
}

/** Four numbers of a list, from a place on; 0 where it has ended. */
export function rateNumbersAt(numbers: readonly number[], at: number): RateNumbers {
  return [numbers[at] ?? 0, numbers[at + 1] ?? 0, numbers[at + 2] ?? 0, numbers[at + 3] ?? 0];
}

/** The candidate's part of a window's requests; 0 without any. */
export function shareOfRates([stayed, , moved]: RateNumbers): number {
  return moved === 0 ? 0 : moved / (stayed + moved);
}

/** Events of both arms that the candidate would have at a share of the requests if both had them alike. */
export function expectedEvents([, events, , candidates]: RateNumbers, share: number): number {
  return share * (events + candidates);
}
