import { Command } from 'commander';

/** Runs one command in this process; what it printed. Throws what it throws, so that a test sees its class. */
export async function runCommand(
  register: (program: Command) => void,
  ...words: readonly string[]
): Promise<string> {
  let printed = '';
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  try {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
    register(program);
    for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => {} });
    await program.parseAsync(words, { from: 'user' });
    return printed;
  } finally {
    spy.mockRestore();
  }
}
