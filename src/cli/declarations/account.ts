import type { Command } from 'commander';
import { wholeNumber } from '../arguments';
import type { CredentialOptions } from '../commands/login';
import type { PasswdOptions } from '../commands/passwd';
import type { Declaration } from './declaration';

/** Declares the commands for login and logout, keys and the doctor. */
export function declareAccount(program: Command, { action }: Declaration): void {
  program
    .command('login')
    .description('log in and remember the token (name the server with --server the first time)')
    .option('--username <name>', 'account')
    .option('--password-stdin', 'read the password from standard input')
    .action(action(async (context, options: CredentialOptions) => (await import('../commands/login')).login(context, options)));
  program
    .command('signup')
    .description('create an account and log in')
    .option('--username <name>', 'account')
    .option('--password-stdin', 'read the password from standard input')
    .action(action(async (context, options: CredentialOptions) => (await import('../commands/login')).signup(context, options)));
  program
    .command('logout')
    .description('make the token good for nothing and forget it')
    .action(action(async (context) => (await import('../commands/logout')).logout(context)));
  program
    .command('passwd')
    .description('change the password; all other sessions of the account end')
    .option('--code', 'set it with a one-time code of an operator; no login is needed')
    .option('--username <name>', 'with --code: account')
    .option('--stdin', 'read two lines from standard input: the old password or the code, and the new password')
    .action(action(async (context, options: PasswdOptions) => (await import('../commands/passwd')).passwd(context, options)));
  declareSessions(program, action);
  program
    .command('whoami')
    .description('show the account and its limits')
    .action(action(async (context) => (await import('../commands/whoami')).whoami(context)));
  program
    .command('doctor')
    .description('check the server, the login, SSH and this machine')
    .action(action(async (context) => (await import('../commands/doctor')).doctor(context)));
  declareKeys(program, action);
}

function declareSessions(program: Command, action: Declaration['action']): void {
  const sessions = program.command('sessions').description('where you are logged in');
  sessions
    .command('list', { isDefault: true })
    .description('show the sessions, the last used first')
    .action(action(async (context) => (await import('../commands/sessions')).listSessions(context)));
  sessions
    .command('end')
    .description('end a session: its token is good for nothing')
    .argument('[id]', 'session, or the beginning of its id')
    .option('--all', 'end all sessions, also this one')
    .action(
      action(async (context, id: string | undefined, options: { all?: boolean }) =>
        (await import('../commands/sessions')).endSession(context, id, options),
      ),
    );
}

function declareKeys(program: Command, action: Declaration['action']): void {
  const keys = program.command('keys').description('public keys that open your leases, running and later ones');
  keys
    .command('list', { isDefault: true })
    .description('show the registered keys')
    .action(action(async (context) => (await import('../commands/keys')).listKeys(context)));
  keys
    .command('add')
    .description('register a public key')
    .argument('<file>', 'such as ~/.ssh/id_ed25519.pub')
    .option('--name <name>', 'what to call it')
    .action(
      action(async (context, file: string, options: { name?: string }) =>
        (await import('../commands/keys')).addKey(context, file, options),
      ),
    );
  keys
    .command('remove')
    .description('remove a registered key: it opens no lease any more')
    .argument('<id>', 'key', wholeNumber(1))
    .action(action(async (context, id: number) => (await import('../commands/keys')).removeKey(context, id)));
}
