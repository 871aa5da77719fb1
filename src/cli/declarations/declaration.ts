import type { Command } from 'commander';
import type { CliIo } from '../io';
import { type CommandContext, createContext } from '../session';

/** The result of an action besides its output. */
export interface Outcome {
  exitCode: number;
}

/** Shared by the declarations of all commands. */
export interface Declaration {
  io: CliIo;
  outcome: Outcome;
  /**
   * Wraps the work of a client command as a commander action. The work gets the context, then the command's arguments and its options as
   * declared. If it resolves with a number, the number is the exit code.
   */
  action: (work: (context: CommandContext, ...args: never[]) => Promise<unknown>) => (...given: unknown[]) => Promise<void>;
}

/** Creates the declaration. Commander calls an action with the arguments, then the options, then the command. */
export function createDeclaration(io: CliIo, outcome: Outcome): Declaration {
  return {
    io,
    outcome,
    action:
      (work) =>
      async (...given) => {
        const command = given.at(-1) as Command;
        const result = await work(createContext(io, command), ...(given.slice(0, -1) as never[]));
        outcome.exitCode = typeof result === 'number' ? result : 0;
      },
  };
}
