import type { Command } from 'commander';
import { addLabel, parseClient, parseKey, positiveNumber, wholeNumber } from '../arguments';
import type { ConfigSshOptions } from '../commands/config-ssh';
import type { ExtendOptions } from '../commands/extend';
import type { LeasesOptions } from '../commands/leases';
import type { RentOptions } from '../commands/rent';
import type { SshOptions } from '../commands/ssh';
import type { Declaration } from './declaration';

/** Declares the commands to rent and to use a lease. */
export function declareLeases(program: Command, declaration: Declaration): void {
  declareRent(program, declaration);
  declareLease(program, declaration);
}

function declareRent(program: Command, { action }: Declaration): void {
  program
    .command('rent')
    .description('rent a machine and wait for the account on it')
    .option('--hours <n>', 'for how long (default: 1 hour)', positiveNumber)
    .option('--minutes <n>', 'for how long', positiveNumber)
    .option('--count <n>', 'how many machines, all or none', wholeNumber(1))
    .option('--cpus <n>', 'at least so many processors', wholeNumber(1))
    .option('--memory-mb <n>', 'at least so much memory', wholeNumber(1))
    .option(
      '--label <name=value>',
      'a label that the machine must carry; node/<name> is one that it declares itself; may be repeated',
      addLabel,
    )
    .option('--key <file.pub>', 'public key to log in with (default: the registered ones, or one of ~/.ssh, or a new one)')
    .option('--password', 'also make a password; it is shown once (refused where machines admit the gateway alone)')
    .option('--no-checkpoint', 'do not save the home while the lease runs; a move to another machine then begins with an empty one')
    .option('--for <client>', 'rent for another account, by id or name (admins)', parseClient)
    .option('--idempotency-key <key>', 'repeating a rent with the same key makes no second lease', parseKey)
    .option('--ssh', 'log in at once')
    .action(action(async (context, options: RentOptions) => (await import('../commands/rent')).rent(context, options)));
}

function declareLease(program: Command, { action }: Declaration): void {
  program
    .command('leases')
    .description('list your running leases')
    .option('--all', 'also those that are over')
    .option('--everyone', 'those of all accounts (admins)')
    .action(action(async (context, options: LeasesOptions) => (await import('../commands/leases')).leases(context, options)));
  program
    .command('show')
    .description('show a lease: where it is, how to get in, what happened to it')
    .argument('<lease>', 'number of the lease', wholeNumber(1))
    .action(action(async (context, id: number) => (await import('../commands/show')).show(context, id)));
  program
    .command('extend')
    .description('move the end of a lease')
    .argument('<lease>', 'number of the lease', wholeNumber(1))
    .option('--hours <n>', 'by how much', positiveNumber)
    .option('--minutes <n>', 'by how much', positiveNumber)
    .option('--idempotency-key <key>', 'repeating an extension with the same key extends once', parseKey)
    .action(
      action(async (context, id: number, options: ExtendOptions) => (await import('../commands/extend')).extend(context, id, options)),
    );
  program
    .command('release')
    .description('end a lease now')
    .argument('<lease>', 'number of the lease', wholeNumber(1))
    .action(action(async (context, id: number) => (await import('../commands/release')).release(context, id)));
  program
    .command('ssh')
    .description('log in to a lease, or run a command there')
    .usage('[options] <lease> [-- command...]')
    .argument('<lease>', 'number of the lease', wholeNumber(1))
    .argument('[command...]', 'what to run there; put -- before it')
    .option(
      '--direct',
      'straight to the machine and not through the gateway, which stays when the lease moves (refused where machines admit the gateway alone)',
    )
    .action(
      action(async (context, ...[id, command, options]: [number, string[], SshOptions]) =>
        (await import('../commands/ssh')).ssh(context, { leaseId: id, command }, options),
      ),
    );
  program
    .command('config-ssh')
    .description('let plain ssh, scp, sftp and rsync know your running leases, as orion-<lease>')
    .option('--print', 'only print what would be written')
    .option('--remove', 'take it all away again')
    .action(action(async (context, options: ConfigSshOptions) => (await import('../commands/config-ssh')).configSsh(context, options)));
}
