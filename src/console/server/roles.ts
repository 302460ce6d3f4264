import type { ConsoleConfiguration } from '../../core/configuration/console-schema';

/** Operators give commands; viewers look. */
export type Role = 'operator' | 'viewer';

/** The role that the configuration gives to this name; null for whoever has none. */
export function roleOf(name: string, { operators, viewers }: ConsoleConfiguration['roles']): Role | null {
  if (operators.includes(name)) return 'operator';
  return viewers.includes(name) || viewers.includes('*') ? 'viewer' : null;
}

/** Why whoever has this role may give no commands; null for operators. */
export function commandRefusal(role: Role, name: string | null): string | null {
  if (role === 'operator') return null;
  return `${name} may look but not give commands: only this console's operators may`;
}
