import type { Command } from 'commander';

/** Loads the program's commands into the completion library. */
async function describe(
  program: Command,
): Promise<{ setup(name: string, command: string, shell: string): void; parse(args: string[]): void }> {
  const { default: tab } = await import('@bomb.sh/tab/commander');
  return tab(program, { completionCommandName: 'completion' });
}

/**
 * Prints the completion script of the shell.
 *
 * @param program without completion commands of its own
 */
export async function printScript(program: Command, shell: string): Promise<void> {
  (await describe(program)).setup('orion', 'orion', shell);
}

/** Prints the candidates for a command line. The completion scripts call it at each press of the completion key. */
export async function printCandidates(program: Command, words: string[]): Promise<void> {
  (await describe(program)).parse(words);
}
