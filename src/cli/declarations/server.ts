import { Argument, type Command } from 'commander';
import { positiveNumber, wholeNumber } from '../arguments';
import type { Declaration } from './declaration';

type MigrateVerb = 'up' | 'down' | 'status' | 'grant';

/** Declares the commands that run on the machines of the service itself. */
export function declareServer(program: Command, { io, action }: Declaration): void {
  program
    .command('migrate')
    .description(
      "bring the database schema up, take the last step back, show where it stands, or give each role's database user its rights",
    )
    .addArgument(new Argument('<verb>').choices(['up', 'down', 'status', 'grant']))
    .action(action(async (_context, verb: MigrateVerb) => (await import('../../roles/migrate')).runMigrate(verb, io.env, io)));
  const admin = program.command('admin').description('commands for operators who have the password of the database');
  admin
    .command('create')
    .description('create an admin in the database')
    .argument('<username>', 'account')
    .option('--password-stdin', 'read the password from standard input (default: ask; without a terminal, make one up)')
    .action(
      action(async (context, username: string, options: { passwordStdin?: boolean }) =>
        (await import('../commands/create-admin')).createAdmin(context, username, options),
      ),
    );
  admin
    .command('join-token')
    .description('issue a join token; it is shown once')
    .argument('[name]', 'what it is for', 'admin')
    .option('--max-uses <n>', 'how many machines may join with it', wholeNumber(1), 1)
    .option('--ttl-hours <n>', 'for how long', positiveNumber, 1)
    .action(
      action(async (_context, name: string, options: { maxUses: number; ttlHours: number }) =>
        (await import('../../roles/admin')).createJoinToken({ name, ...options }, io.env, io),
      ),
    );
  program
    .command('agent')
    .description('this machine as a node')
    .command('leave')
    .description('hand over the leases, leave the fleet, remove what the agent made here')
    .action(action(async ({ io: { env, clock } }) => (await import('../commands/leave-fleet')).leaveFleet(env, clock)));
}
