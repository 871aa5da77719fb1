import { type Command, Option } from 'commander';
import { wholeNumber } from '../arguments';
import type { NewUserOptions, UserOptions } from '../commands/users';
import type { Declaration } from './declaration';

/** Declares the commands with which admins administer accounts. They take the number or the name of an account. */
export function declarePeople(program: Command, declaration: Declaration): void {
  const users = program.command('users').description('accounts (admins)');
  declareAdmission(users, declaration);
  declareOrders(users, declaration);
}

const limited = (command: Command): Command =>
  command
    .option('--max-leases <n>', 'leases at a time', wholeNumber(0))
    .option('--max-hours <n>', 'hours a lease may last', wholeNumber(1));

function declareAdmission(users: Command, { action }: Declaration): void {
  users
    .command('list', { isDefault: true })
    .description('show the accounts')
    .action(action(async (context) => (await import('../commands/users')).listUsers(context)));
  users
    .command('show')
    .description('show one account, also a deleted one')
    .argument('<user>', 'number or name')
    .action(action(async (context, user: string) => (await import('../commands/users')).showUser(context, user)));
  limited(users.command('create').description('create an account, and print a one-time code with which its user sets the password'))
    .argument('<name>', 'account')
    .option('--admin', 'let it administer machines and accounts')
    .option('--password-stdin', 'read a password from standard input, in place of the code; it must be changed at the first login')
    .action(
      action(async (context, name: string, options: NewUserOptions) =>
        (await import('../commands/users')).createUser(context, name, options),
      ),
    );
  users
    .command('import')
    .description('create the accounts of a CSV file, and print a one-time code for each; repeating it creates what is missing')
    .argument('<file>', 'first line: username, and any of role, max_leases, max_lease_hours')
    .addHelpText('after', '\nExample: orion users import class.csv >codes.csv')
    .action(action(async (context, file: string) => (await import('../commands/import-users')).importUsers(context, file)));
}

function declareOrders(users: Command, { action }: Declaration): void {
  limited(users.command('set').description('change limits and role, disable or enable'))
    .argument('<user>', 'number or name')
    .addOption(new Option('--role <role>', 'what it may do').choices(['user', 'admin']))
    .option('--disable', 'refuse it everything, and end its sessions and leases')
    .option('--keep-leases', 'with --disable: its programs run until the leases end; nobody can log in to them')
    .option('--enable', 'let it in again')
    .action(
      action(async (context, user: string, options: UserOptions) => (await import('../commands/users')).setUser(context, user, options)),
    );
  users
    .command('reset-password')
    .description('print a one-time code with which the user sets a new password')
    .argument('<user>', 'number or name')
    .action(action(async (context, user: string) => (await import('../commands/users')).resetPassword(context, user)));
  users
    .command('delete')
    .description('delete an account; its history and its name stay')
    .argument('<user>', 'number or name')
    .option('--keep-leases', 'its programs run until the leases end; nobody can log in to them')
    .action(
      action(async (context, user: string, options: { keepLeases?: boolean }) =>
        (await import('../commands/users')).deleteUser(context, user, options),
      ),
    );
}
