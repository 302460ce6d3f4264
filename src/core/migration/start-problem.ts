import { isJsonObject } from '../text/json-object';
import { CARRIED_VERSION } from './carried-state';

type Fields = Readonly<Record<string, unknown>>;

const COHORT_MOST = 1e-6;
const STICKY = /^(header:.+|body|none)$/;

/**
 * What is wrong with the argument of a migration that somebody started by hand; null where it is one of ours. It names
 * the field, what was expected and what arrived. A client parses plans much more strictly: this only keeps out what
 * the state machine could not run on, because a workflow that cannot begin holds its route for ever.
 */
export function startProblem(input: unknown): string | null {
  if (!isJsonObject(input))
    return said('the argument', 'one object {"start": {...}, "carried": null}', input);
  const { start, carried } = input;
  // A newer release may have changed all of it: `migrate` refuses it, and the run waits for workers of that release.
  if (isJsonObject(carried) && isTime(carried['version']) && carried['version'] > CARRIED_VERSION)
    return null;
  if (!isJsonObject(start)) return said('start', 'an object', start);
  const problem = identityProblem(start) ?? planProblem(start['plan'], 'start.plan');
  if (problem !== null || carried === null || carried === undefined) return problem;
  if (!isJsonObject(carried)) return said('carried', 'null or the state of an earlier run', carried);
  const lists = ['roster', 'checkpoints', 'verdicts', 'seen', 'refusals', 'lapses', 'settled'];
  const noList = lists.find((field) => !Array.isArray(carried[field]));
  if (noList !== undefined) return said(`carried.${noList}`, 'a list', carried[noList]);
  const { version = 1 } = carried;
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    return said('carried.version', `a whole number from 1 to ${CARRIED_VERSION}`, version);
  }
  if (version !== 1 && !isArchive(carried['archived'])) {
    return said(
      'carried.archived',
      'an object {"count", "head", "effects", "newSalts"}',
      carried['archived'],
    );
  }
  if (!isJsonObject(carried['stage'])) return said('carried.stage', 'an object', carried['stage']);
  return planProblem(carried['plan'], 'carried.plan');
}

function isArchive(value: unknown): boolean {
  return (
    isJsonObject(value) &&
    isTime(value['count']) &&
    isTime(value['newSalts']) &&
    Array.isArray(value['effects'])
  );
}

function identityProblem(start: Fields): string | null {
  for (const field of ['migrationId', 'salt']) {
    if (!isText(start[field])) return said(`start.${field}`, 'a text', start[field]);
  }
  for (const field of ['by', 'reason']) {
    if (typeof start[field] !== 'string') return said(`start.${field}`, 'a text', start[field]);
  }
  const { stickyKey, newConversationsOnly, shadow } = start;
  if (typeof stickyKey !== 'string' || !STICKY.test(stickyKey)) {
    return said('start.stickyKey', '"body", "none" or "header:NAME"', stickyKey);
  }
  if (typeof newConversationsOnly !== 'boolean') {
    return said('start.newConversationsOnly', 'true or false', newConversationsOnly);
  }
  if (!isPart(shadow)) return said('start.shadow', 'a number from 0 to 1', shadow);
  const { moveBack } = start;
  return moveBack === undefined || moveBack === true
    ? null
    : said('start.moveBack', 'true, or nothing', moveBack);
}

/** What is wrong with a plan, which stands at `path`, as far as the state machine could not run on it; null: nothing. */
export function planProblem(plan: unknown, path: string): string | null {
  if (!isJsonObject(plan)) return said(path, 'a plan with every default filled in', plan);
  if (!isText(plan['route'])) return said(`${path}.route`, 'a text', plan['route']);
  const problem = numbersProblem(plan, path, ['leaseMs', 'renewalMs', 'watchHeartbeatMs']);
  if (problem !== null) return problem;
  const { probes, stages } = plan;
  if (!isJsonObject(probes)) return said(`${path}.probes`, 'an object', probes);
  if (!Array.isArray(stages) || stages.length < 2) {
    return said(`${path}.stages`, 'a list of at least two stages', stages);
  }
  for (const [index, stage] of stages.entries()) {
    const wrong = stageProblem(stage, `${path}.stages.${index}`);
    if (wrong !== null) return wrong;
  }
  const shares = stages.map(({ share }: { share: number }) => share);
  const rising = stages.every(
    ({ share, mirror }: { share: number; mirror?: unknown }, index) =>
      index === 0 || share > (shares[index - 1] as number) || (index === 1 && share === 0 && isPart(mirror)),
  );
  return shares[0] === 0 && shares.at(-1) === 1 && rising
    ? numbersProblem(probes, `${path}.probes`, ['intervalMs', 'timeoutMs'])
    : said(`${path}.stages`, 'shares that rise from 0 to 1', shares.join(', '));
}

function stageProblem(stage: unknown, path: string): string | null {
  if (!isJsonObject(stage)) return said(path, 'an object', stage);
  const { name, share, holdback, mirror, maxCostUsd, judge, only, ramp, deadline, burnIn, gates } = stage;
  if (!isText(name)) return said(`${path}.name`, 'a text', name);
  if (!isPart(share)) return said(`${path}.share`, 'a number from 0 to 1', share);
  if (holdback !== undefined && !(isTime(holdback) && holdback > 0 && holdback < share)) {
    return said(`${path}.holdback`, 'nothing, or a number above 0 and below the share', holdback);
  }
  if (mirror !== undefined && !isPart(mirror)) {
    return said(`${path}.mirror`, 'nothing, or a number from 0 to 1', mirror);
  }
  if (mirror !== undefined && !isTime(maxCostUsd)) {
    return said(`${path}.maxCostUsd`, 'a number together with mirror', maxCostUsd);
  }
  if (judge !== undefined && (mirror === undefined || !isJudge(judge))) {
    return said(
      `${path}.judge`,
      'nothing, or an object {"provider", "model", "sample", "maxCostUsd", "harm", "minimum"} together with mirror',
      judge,
    );
  }
  if (only !== undefined && !isCohort(only)) {
    return said(`${path}.only`, 'nothing, {"teams": [...]}, or {"header", "values": [...]}', only);
  }
  // Whoever it serves, everybody else is served by legacy: a share of theirs is no share.
  if (only !== undefined && share > COHORT_MOST) {
    return said(`${path}.share`, `a share of at most ${COHORT_MOST} together with only`, share);
  }
  if (ramp !== undefined && !isRamp(ramp)) {
    return said(`${path}.ramp`, 'nothing, or an object {"step", "everyMs"} of numbers above 0', ramp);
  }
  if (!isJsonObject(deadline)) return said(`${path}.deadline`, 'an object', deadline);
  if (!isJsonObject(burnIn)) return said(`${path}.burnIn`, 'an object', burnIn);
  if (!isJsonObject(gates)) return said(`${path}.gates`, 'an object', gates);
  const { rollbackMs } = deadline;
  if (rollbackMs !== null && !isTime(rollbackMs)) {
    return said(`${path}.deadline.rollbackMs`, 'null or milliseconds', rollbackMs);
  }
  return (
    numbersProblem(stage, path, ['soakMs', 'windowMs', 'minimumSample']) ??
    numbersProblem(deadline, `${path}.deadline`, ['holdMs']) ??
    numbersProblem(burnIn, `${path}.burnIn`, ['timeMs', 'requests'])
  );
}

function numbersProblem(object: Fields, path: string, fields: readonly string[]): string | null {
  const wrong = fields.find((field) => !isTime(object[field]));
  return wrong === undefined ? null : said(`${path}.${wrong}`, 'a number of at least 0', object[wrong]);
}

const ARRIVED_LIMIT = 100;

function said(path: string, expected: string, arrived: unknown): string {
  const text = arrived === undefined ? 'nothing' : (JSON.stringify(arrived) ?? typeof arrived);
  const cut = text.length > ARRIVED_LIMIT ? `${text.slice(0, ARRIVED_LIMIT)}...` : text;
  return `${path}: expected ${expected}, got ${cut}`;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isCohort(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const { teams, header, values } = value;
  const areTexts = (list: unknown) => Array.isArray(list) && list.length > 0 && list.every(isText);
  return teams === undefined ? isText(header) && areTexts(values) : areTexts(teams) && header === undefined;
}

function isJudge(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const { provider, model, rubric, sample, maxCostUsd, harm, minimum } = value;
  return (
    isText(provider) &&
    isText(model) &&
    (rubric === undefined || isText(rubric)) &&
    isPart(sample) &&
    isPart(harm) &&
    isTime(maxCostUsd) &&
    isTime(minimum)
  );
}

function isRamp(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const { step, everyMs } = value;
  // A step below this would make more of them than a record can hold.
  return isPart(step) && step >= 1 / 1_000 && isTime(everyMs) && everyMs > 0;
}

function isPart(value: unknown): value is number {
  return isTime(value) && value <= 1;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
