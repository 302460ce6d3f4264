import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ConsoleConfiguration } from '../../core/configuration/console-schema';
import { type Role, roleOf } from './roles';

/** Why a request is not served. */
export interface VisitorRefusal {
  readonly status: 400 | 401 | 403 | 429;
  readonly message: string;
}

/** Who sent a request. */
export interface Visitor {
  /** As the proxy or the provider names the person; null for whoever has the token. */
  readonly name: string | null;
  readonly role: Role;
  /** When the login ends, milliseconds since 1970; null while the console runs. */
  readonly untilMs: number | null;
}

/** How people log in. */
export interface Identity {
  readonly kind: 'token' | 'header' | 'oidc';
  visitorOf(request: IncomingMessage): Visitor | VisitorRefusal;
  /** Answers a request that belongs to logging in or out; false for every other. */
  answer(request: IncomingMessage, url: URL, response: ServerResponse): Promise<boolean>;
}

/** The visitor of this name by the roles of the configuration, or why there is none. */
export function visitorNamed(
  name: string,
  roles: ConsoleConfiguration['roles'],
  untilMs: number | null,
): Visitor | VisitorRefusal {
  const role = roleOf(name, roles);
  if (role !== null) return { name, role, untilMs };
  return { status: 403, message: `${name} is neither an operator nor a viewer of this console` };
}

/** Whether somebody was refused. */
export function isRefusal(found: Visitor | VisitorRefusal): found is VisitorRefusal {
  return 'status' in found;
}

/** A cookie of a request; empty where it is not there. */
export function cookieOf({ headers }: IncomingMessage, name: string): string {
  const cookies = (headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
  return cookies.find((cookie) => cookie.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}
