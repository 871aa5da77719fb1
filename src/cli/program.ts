import { Argument, Command, CommanderError } from 'commander';
import { messageOf } from '../lib/errors';
import { declareAccount } from './declarations/account';
import { createDeclaration, type Declaration, type Outcome } from './declarations/declaration';
import { declareFleet } from './declarations/fleet';
import { declareLeases } from './declarations/leases';
import { declareServer } from './declarations/server';
import { usageError } from './errors';
import { EXIT, EXIT_CODES_HELP } from './exit-codes';
import type { CliIo } from './io';
import { reportError } from './report-error';
import { version } from '../lib/version';

/** Creates the command line of `orion`, including the roles. Commands load their code when they run. */
export function createProgram(io: CliIo): Command {
  return buildProgram(io, { exitCode: EXIT.ok });
}

/**
 * Runs one command line to its end. Never rejects.
 *
 * @param argv the arguments after the program's name
 * @returns the exit code (see exit-codes)
 */
export async function runCli(argv: string[], io: CliIo): Promise<number> {
  const outcome: Outcome = { exitCode: EXIT.ok };
  const program = buildProgram(io, outcome);
  const output = surviveOutputFaults(io);
  const code = await runProgram(program, { argv, io, outcome });
  await new Promise<void>((resolve) => void io.stdout.write('', () => resolve()));
  const fault = output.fault();
  return code === EXIT.ok && fault
    ? reportError(io, new Error(`the output could not be written: ${messageOf(fault)}. What was asked for was done`))
    : code;
}

async function runProgram(program: Command, { argv, io, outcome }: { argv: string[]; io: CliIo; outcome: Outcome }): Promise<number> {
  try {
    await program.parseAsync(argv, { from: 'user' });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    return reportError(io, error);
  }
}

function buildProgram(io: CliIo, outcome: Outcome): Command {
  const program = createRoot(io);
  const declaration = createDeclaration(io, outcome);
  program.action((options: { role?: string }, command: Command) => startRoles(command, options.role, declaration));
  declareCommands(program, declaration);
  declareCompletion(program, declaration);
  // Set after the subcommands are declared, because they would inherit it. An excess argument here is the name of an unknown command.
  return program.allowExcessArguments();
}

function createRoot(io: CliIo): Command {
  return new Command('orion')
    .description('Rents machines that enrol themselves, and runs the service that leases them.')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--role <roles>', 'run the service: api, scheduler, gateway, autoscaler, scale-driver or agent; several joined by commas')
    .option('--server <url>', 'the server to talk to (default: the one of the last login)')
    .option('--json', "print the API's JSON, and nothing else")
    .option('-q, --quiet', 'no progress and no advice')
    .option('--no-color', 'no colours')
    .addHelpText('after', EXIT_CODES_HELP)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => void io.stdout.write(text), writeErr: (text) => void io.stderr.write(text) })
    .showHelpAfterError('(orion --help, or --help after a command, says more)')
    .exitOverride();
}

function declareCommands(program: Command, declaration: Declaration): void {
  program.commandsGroup('Renting:');
  declareLeases(program, declaration);
  program.commandsGroup('Account:');
  declareAccount(program, declaration);
  program.commandsGroup('Fleet:');
  declareFleet(program, declaration);
  program.commandsGroup('Service:');
  declareServer(program, declaration);
}

/** Declares the completion commands. The completions describe a second program without these commands, because the library adds its own. */
function declareCompletion(program: Command, { io, action }: Declaration): void {
  const bare = (): Command => {
    const root = createRoot(io);
    declareCommands(root, createDeclaration(io, { exitCode: EXIT.ok }));
    return root;
  };
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      '\nbash: source <(orion completion bash)\nzsh:  source <(orion completion zsh)\nfish: orion completion fish | source',
    )
    .action(action(async (_context, shell: string) => (await import('./commands/completion')).printScript(bare(), shell)));
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action(action(async (_context, words: string[]) => (await import('./commands/completion')).printCandidates(bare(), words)));
}

async function startRoles(command: Command, role: string | undefined, { io, outcome }: Declaration): Promise<void> {
  const [name] = command.args;
  if (name !== undefined) {
    command.error(`error: unknown command '${name}'`, { exitCode: EXIT.usage, code: 'commander.unknownCommand' });
  }
  if (role === undefined) {
    command.help({ error: true });
  }
  const roles = await import('../roles/index');
  const names = role.split(',').map((text) => text.trim());
  const problem = roles.problemWithRoles(names);
  if (problem !== null) {
    throw usageError(problem);
  }
  outcome.exitCode = await roles.startRoles(names, io.env);
}

/**
 * Handles errors of the output streams. Progress on stderr is not essential, so a full disk or a closed pipe there ends nothing. A failed
 * write to stdout is a failure of the command, which reports it at its end. EPIPE is no failure: the reader (`orion leases | head -1`) has
 * all that it wanted.
 */
function surviveOutputFaults({ stdout, stderr }: CliIo): { fault: () => NodeJS.ErrnoException | undefined } {
  let fault: NodeJS.ErrnoException | undefined;
  stderr.on('error', () => undefined);
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    fault = error.code === 'EPIPE' ? fault : error;
  });
  return { fault: () => fault };
}
