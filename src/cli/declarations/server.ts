import { Argument, type Command } from 'commander';
import type { Declaration } from './declaration';

type MigrateVerb = 'up' | 'down' | 'status';

/** What runs where the service itself runs. */
export function declareServer(program: Command, { io, action }: Declaration): void {
  program
    .command('migrate')
    .description('bring the database schema up, take the last step back, or show where it stands')
    .addArgument(new Argument('<verb>').choices(['up', 'down', 'status']))
    .action(action(async (_context, verb: MigrateVerb) => (await import('../../roles/migrate')).runMigrate(verb, io.env, io)));
  program
    .command('admin')
    .description('accounts of operators, made beside the API')
    .command('create')
    .description('create an admin in the database')
    .argument('<username>', 'account')
    .option('--password-stdin', 'read the password from standard input (default: ask; without a terminal, make one up)')
    .action(action(async (context, username: string, options: { passwordStdin?: boolean }) => (await import('../commands/create-admin')).createAdmin(context, username, options)));
  program
    .command('agent')
    .description('this machine as a node')
    .command('leave')
    .description('hand over the leases, leave the fleet, remove what the agent made here')
    .action(action(async ({ io: { env, clock } }) => (await import('../commands/leave-fleet')).leaveFleet(env, clock)));
}
