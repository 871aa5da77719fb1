import type { Command } from 'commander';
import type { CliIo } from '../io';
import { type CommandContext, createContext } from '../session';

/** What an action may leave behind besides its output. */
export interface Outcome {
  exitCode: number;
}

/** What the declarations of commands share. */
export interface Declaration {
  io: CliIo;
  outcome: Outcome;
  /**
   * Wraps the work of a client command as a commander action: it gets the context, and what it resolves with, if it is a number, becomes the
   * exit code. Its further parameters are the command's arguments, then its options, as declared.
   */
  action: (work: (context: CommandContext, ...args: never[]) => Promise<unknown>) => (...given: unknown[]) => Promise<void>;
}

/** Commander calls an action with the arguments, then the options, then the command. */
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
