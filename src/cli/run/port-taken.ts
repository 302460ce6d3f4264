import { heldByText } from '../../temporal-server/port-holder';
import { CliError, EXIT } from '../options/cli-error';

/** Whether an error is the system's, of an address that cannot be listened on. */
function isListenProblem(error: unknown): error is NodeJS.ErrnoException & { readonly port?: number } {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'listen';
}

/** What a person reads of it: which port, who holds it, and what changes it; anything else is given back as it is. */
export function explainedListenProblem(error: unknown, whatToDo: string): unknown {
  if (!isListenProblem(error)) return error;
  const { address = '', port } = error as { readonly address?: string; readonly port?: number };
  return new CliError(
    listenProblemText({ ip: address, port: port ?? 0, code: error.code ?? '' }, whatToDo),
    EXIT.unreachable,
    {
      cause: error,
    },
  );
}

function listenProblemText(
  { ip, port, code }: { readonly ip: string; readonly port: number; readonly code: string },
  whatToDo: string,
): string {
  if (code === 'EADDRINUSE') return `cannot listen on port ${port} of ${ip}${heldByText(port)}: ${whatToDo}`;
  if (code === 'EACCES')
    return `cannot listen on port ${port} of ${ip}: this user is not allowed to: ${whatToDo}`;
  if (code === 'EADDRNOTAVAIL')
    return `cannot listen on ${ip}: this machine has no such address: ${whatToDo}`;
  return `cannot listen on port ${port} of ${ip} (${code}): ${whatToDo}`;
}
