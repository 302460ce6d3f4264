import type { Plan } from '../plan/plan';
import { digestOf } from '../record/digest';
import { jsonBytes } from '../text/json-bytes';

/** What an operator can ask of a running migration. */
export type CommandName =
  | 'pause'
  | 'resume'
  | 'promote'
  | 'rollback'
  | 'emergencyRollback'
  | 'reevaluate'
  | 'approve'
  | 'forget'
  | 'amend'
  | 'finish';

interface CommandBase {
  /** Who asks; `unknown` when a message did not say. */
  readonly by: string;
  readonly reason: string;
  /** Given by the sender to follow what became of it; a second command with the same id is ignored. */
  readonly commandId: string | null;
}

export type Command = CommandBase &
  (
    | { readonly name: 'pause' }
    | { readonly name: 'resume'; readonly accept: 'reapply' | null }
    | {
        readonly name: 'promote';
        readonly stage: string;
        readonly override: boolean;
        readonly checkpoint: number | null;
      }
    | { readonly name: 'rollback'; readonly to: number | 'previous' | null }
    | { readonly name: 'emergencyRollback' }
    | { readonly name: 'reevaluate' }
    | { readonly name: 'approve'; readonly checkpoint: number; readonly digest: string | null }
    | { readonly name: 'forget'; readonly gateway: string }
    | { readonly name: 'amend'; readonly plan: Plan; readonly digest: string | null }
    | { readonly name: 'finish' }
  );

/** A message that is no command: counted and kept, never acted on. */
export interface BadMessage {
  readonly name: string;
  readonly problem: string;
  /** What arrived, cut to 1 KB. */
  readonly arrived: string;
}

/** What a command did at once: `accepted` says nothing about gateways yet, the checkpoint does. */
export interface CommandAnswer {
  readonly accepted: boolean;
  readonly message: string;
  /** The checkpoint to follow, or null when nothing was appended. */
  readonly checkpoint: number | null;
}

/** Of JSON: far above what any command needs. Larger ones are counted, and nothing of them is kept. */
const MESSAGE_MOST_BYTES = 64_000;
const TEXT_LIMIT = 1_000;
const COMMAND_ID_LIMIT = 200;

const FIELDS: Readonly<Record<CommandName, readonly string[]>> = {
  pause: [],
  resume: ['accept'],
  promote: ['stage', 'override', 'checkpoint'],
  rollback: ['to'],
  emergencyRollback: [],
  reevaluate: [],
  approve: ['checkpoint', 'digest'],
  forget: ['gateway'],
  amend: ['plan', 'digest'],
  finish: [],
};

/** The names, for registering handlers. */
export const COMMAND_NAMES = Object.keys(FIELDS) as readonly CommandName[];

/**
 * Reads what a person or program sent as the ONE argument of a signal or update. Never throws: whatever can be
 * typed into the Temporal UI becomes a command or a `BadMessage`.
 */
export function readCommand(name: CommandName, payload: unknown): Command | BadMessage {
  const bad = (problem: string): BadMessage => ({ name, problem, arrived: cut(payload) });
  const bytes = bytesOf(payload);
  if (bytes > MESSAGE_MOST_BYTES) {
    return bad(`expected at most ${MESSAGE_MOST_BYTES / 1_000} KB, got ${Math.round(bytes / 1_000)} KB`);
  }
  if (payload !== undefined && payload !== null && !isPlainObject(payload)) {
    return bad(`expected one object such as {"by":"ana","reason":"p95 doubled"}, got ${kindOf(payload)}`);
  }
  // Own fields only: whatever a prototype says was not sent.
  const fields: Readonly<Record<string, unknown>> = Object.assign(Object.create(null), payload);
  const known = ['by', 'reason', 'commandId', ...FIELDS[name]];
  const unknown = Object.keys(fields).find((field) => !known.includes(field));
  if (unknown !== undefined) {
    return bad(`expected only the fields ${known.join(', ')}, got "${unknown.slice(0, 100)}"`);
  }
  for (const field of ['by', 'reason', 'commandId', 'stage', 'digest', 'gateway'] as const) {
    const value = fields[field];
    const limit = field === 'commandId' ? COMMAND_ID_LIMIT : TEXT_LIMIT;
    if (value !== undefined && (typeof value !== 'string' || value.length > limit)) {
      return bad(`expected ${field} to be a text of at most ${limit} characters, got ${kindOf(value)}`);
    }
  }
  const base: CommandBase = {
    by: (fields['by'] as string | undefined)?.trim() || 'unknown',
    reason: (fields['reason'] as string | undefined)?.trim() ?? '',
    commandId: (fields['commandId'] as string | undefined) || null,
  };
  switch (name) {
    case 'pause':
      return { ...base, name };
    case 'emergencyRollback':
      return { ...base, name };
    case 'reevaluate':
      return { ...base, name };
    case 'finish':
      return base.reason === '' ? bad('expected a reason, got none') : { ...base, name };
    case 'forget': {
      const gateway = (fields['gateway'] as string | undefined)?.trim() ?? '';
      if (gateway === '') return bad('expected gateway to be the name of the one that is gone, got none');
      if (base.by === 'unknown' || base.reason === '') {
        return bad('expected by and reason: who attests that the gateway is gone for good, and why');
      }
      return { ...base, name, gateway };
    }
    case 'amend': {
      const { plan, digest = null } = fields;
      if (!isPlainObject(plan)) {
        return bad(`expected plan to be a plan with every default filled in, got ${kindOf(plan)}`);
      }
      if (base.by === 'unknown' || base.reason === '') {
        return bad('expected by and reason: who amends the plan, and why');
      }
      // Whoever carries it out looks at it more closely.
      return { ...base, name, plan: plan as unknown as Plan, digest: digest as string | null };
    }
    case 'resume': {
      const accept = fields['accept'] ?? null;
      if (accept !== null && accept !== 'reapply')
        return bad(`expected accept to be "reapply", got ${kindOf(accept)}`);
      return { ...base, name, accept };
    }
    case 'rollback': {
      const to = fields['to'] ?? null;
      if (to !== null && to !== 'previous' && !isSequence(to)) {
        return bad(`expected \`to\` to be a checkpoint number or "previous", got ${kindOf(to)}`);
      }
      return { ...base, name, to };
    }
    case 'promote':
      return readPromote(base, fields, bad);
    case 'approve': {
      const { checkpoint, digest = null } = fields;
      if (!isSequence(checkpoint)) {
        return bad(`expected checkpoint to be the number of the one that asks, got ${kindOf(checkpoint)}`);
      }
      if (base.by === 'unknown') return bad('expected by: an approval records who gave it');
      return { ...base, name, checkpoint, digest: digest as string | null };
    }
    default:
      return name satisfies never;
  }
}

/** A message whose name is not a command's. */
export function unknownCommand(name: string, payload: unknown): BadMessage {
  return { name: name.slice(0, 100), problem: 'there is no command of this name', arrived: cut(payload) };
}

/** What a command asks for, as JSON without who sent it and why: a repeated one says the same. */
export function askedBy({ by: _by, reason: _reason, commandId: _id, ...asked }: Command): string {
  // A plan is large, and states keep what was asked under each id.
  return JSON.stringify(asked.name === 'amend' ? { ...asked, plan: digestOf(asked.plan) } : asked);
}

/** A command that cannot stand as it is, as it is kept among bad messages. */
export function badCommand(command: Command, problem: string): BadMessage {
  return { name: command.name, problem, arrived: cut(command) };
}

/** Whether what was read is no command. */
export function isBadMessage(read: Command | BadMessage): read is BadMessage {
  return 'problem' in read;
}

function readPromote(
  base: CommandBase,
  fields: Readonly<Record<string, unknown>>,
  bad: (problem: string) => BadMessage,
): Command | BadMessage {
  const { stage, override = false, checkpoint = null } = fields;
  if (typeof stage !== 'string' || stage === '')
    return bad('expected the name of the stage to leave, got none');
  if (typeof override !== 'boolean')
    return bad(`expected override to be true or false, got ${kindOf(override)}`);
  if (checkpoint !== null && !isSequence(checkpoint)) {
    return bad(`expected checkpoint to be a checkpoint number, got ${kindOf(checkpoint)}`);
  }
  if (override && (base.by === 'unknown' || base.reason === '' || checkpoint === null)) {
    return bad('expected by, reason and checkpoint with an override: it records who, why and on what');
  }
  return { ...base, name: 'promote', stage, override, checkpoint };
}

/** What JSON calls an object, of whatever realm: no array, no bytes, nothing with a prototype of its own. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isSequence(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

/** Of its JSON; 0 for what is no JSON, which is refused all the same. */
function bytesOf(payload: unknown): number {
  try {
    return jsonBytes(payload);
  } catch {
    return 0;
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string')
    return value.length > 60 ? `a text of ${value.length} characters` : `"${value}"`;
  if (typeof value === 'object') return 'an object';
  return String(value).slice(0, 60);
}

/** Characters: what is kept of a bad message. */
const ARRIVED_LIMIT = 1_024;

/** The beginning of what arrived; nothing of what is too large. */
function cut(payload: unknown): string {
  if (bytesOf(payload) > MESSAGE_MOST_BYTES) return '';
  let text: string;
  try {
    text = JSON.stringify(payload) ?? String(payload);
  } catch {
    text = `${kindOf(payload)} that is not JSON`;
  }
  return text.slice(0, ARRIVED_LIMIT);
}
