import { Argument, type Command, Option } from 'commander';
import { addLabel, addLabelChange, type LabelChange, positiveNumber, wholeNumber } from '../arguments';
import type { AuditOptions } from '../commands/audit';
import type { VerifyOptions } from '../commands/audit-seal';
import type { NodeOptions, NodeVerb } from '../commands/node';
import type { TokenOptions } from '../commands/tokens';
import type { NodeStatus } from '../../contract';
import type { Declaration } from './declaration';
import { declarePeople } from './people';

const STATUSES: NodeStatus[] = ['pending', 'unknown', 'alive', 'suspect', 'dead', 'quarantined', 'retired'];

/** Declares the commands for the fleet and its accounts. Most of them are for admins. */
export function declareFleet(program: Command, declaration: Declaration): void {
  declareNodes(program, declaration);
  declareTokens(program, declaration);
  declarePeople(program, declaration);
  declareJobs(program, declaration);
  declareAudit(program, declaration);
  declareSupport(program, declaration);
}

function declareNodes(program: Command, { action }: Declaration): void {
  program
    .command('nodes')
    .description('list the machines')
    .addOption(new Option('--status <status>', 'only those').choices(STATUSES))
    .option('--watch', 'follow every change until interrupted (with --json: one document a line)')
    .action(
      action(async (context, options: { status?: NodeStatus; watch?: boolean }) =>
        options.watch
          ? (await import('../commands/watch-nodes')).watchNodes(context)
          : (await import('../commands/nodes')).nodes(context, options),
      ),
    );
  const node = program.command('node').description('operate one machine (admins)');
  const verb = (name: NodeVerb, description: string): Command =>
    node
      .command(name)
      .description(description)
      .argument('<id>', 'number of the node', wholeNumber(1))
      .action(
        action(async (context, id: number, options: NodeOptions) =>
          (await import('../commands/node')).operateNode(context, { verb: name, id }, options),
        ),
      );
  node
    .command('show')
    .description('one machine, with the host key to compare before approving it')
    .argument('<id>', 'number of the node', wholeNumber(1))
    .action(action(async (context, id: number) => (await import('../commands/show-node')).showNode(context, id)));
  verb('approve', 'let it in, or trust its new host key')
    .option('--fingerprint <SHA256:...>', 'its host key, as you have read it on the machine (required)')
    .option('--replaces <id>', 'the node that the machine was before it was installed anew: it is retired', wholeNumber(1))
    .addHelpText('after', '\nExample: orion node approve 12 --fingerprint SHA256:... --replaces 7');
  verb('drain', 'lease it to nobody any more').option('--move', 'also move the present lease away');
  verb('undrain', 'lease it again');
  verb('quarantine', 'take it out and move its lease away').requiredOption('--reason <text>', 'why');
  verb('retire', 'take it out for good');
  verb('limit', 'let less of it count than it declares of itself')
    .option('--max-cpus <n>', 'no more processors count (default: all)', wholeNumber(1))
    .option('--max-memory-mb <n>', 'no more memory counts (default: all)', wholeNumber(1));
  node
    .command('shared-storage')
    .description('whether it is leased while it has writable file systems that no wipe walks (NFS, FUSE): allow or refuse')
    .argument('<id>', 'number of the node', wholeNumber(1))
    .addArgument(new Argument('<policy>', 'what to do').choices(['allow', 'refuse']))
    .addHelpText('after', '\nExample: orion node shared-storage 3 refuse')
    .action(
      action(async (context, id: number, policy: 'allow' | 'refuse') =>
        (await import('../commands/node')).operateNode(context, { verb: 'shared-storage', id }, { policy }),
      ),
    );
  node
    .command('label')
    .description('change the labels that operators gave it; those that it declares itself begin with node/ and are shown with them')
    .argument('<id>', 'number of the node', wholeNumber(1))
    .argument('<change...>', 'name=value sets a label, name- takes it off', addLabelChange)
    .action(
      action(async (context, id: number, change: LabelChange) =>
        (await import('../commands/node')).operateNode(context, { verb: 'label', id }, { change }),
      ),
    );
}

function declareTokens(program: Command, { action }: Declaration): void {
  const token = program.command('token').description('join tokens, with which machines enrol (admins)');
  token
    .command('create')
    .description('issue a join token; it is shown once')
    .argument('[name]', 'what it is for', 'cli')
    .option('--max-uses <n>', 'how many machines may join with it', wholeNumber(1))
    .option('--ttl-hours <n>', 'for how long', positiveNumber)
    .option('--label <name=value>', 'a label that those machines will carry; may be repeated', addLabel)
    .option('--max-cpus <n>', 'no more processors of such a machine count', wholeNumber(1))
    .option('--max-memory-mb <n>', 'no more memory of such a machine counts', wholeNumber(1))
    .action(
      action(async (context, name: string, options: TokenOptions) =>
        (await import('../commands/tokens')).createToken(context, name, options),
      ),
    );
  token
    .command('list', { isDefault: true })
    .description('show the join tokens')
    .action(action(async (context) => (await import('../commands/tokens')).listTokens(context)));
  token
    .command('revoke')
    .description('let nobody join with it any more')
    .argument('<id>', 'number of the token', wholeNumber(1))
    .action(action(async (context, id: number) => (await import('../commands/tokens')).revokeToken(context, id)));
}

function declareJobs(program: Command, { action }: Declaration): void {
  program
    .command('jobs')
    .description('background jobs: what each last did, and what waits for it (admins)')
    .action(action(async (context) => (await import('../commands/jobs')).jobs(context)));
}

function declareSupport(program: Command, { action }: Declaration): void {
  program
    .command('support-bundle')
    .description('write state, settings and recent logs of the service into one file without secrets, to ask for help with (admins)')
    .option('--output <file>', 'where to (default: orion-support-TIME.json in this folder); the file must not exist')
    .addHelpText('after', '\nExamples:\n  orion support-bundle\n  orion support-bundle --output /tmp/orion.json')
    .action(
      action(async (context, options: { output?: string }) => (await import('../commands/support-bundle')).supportBundle(context, options)),
    );
}

function declareAudit(program: Command, { action }: Declaration): void {
  const audit = program.command('audit').description('who did what, when and from where (admins)');
  audit
    .command('list', { isDefault: true })
    .description('show the events, newest first')
    .option('--type <type>', 'only of this type, such as node.approved')
    .option('--actor <actor>', 'only by this one, such as admin:1, node:3 or operator')
    .option('--user <user>', 'only about this user or the leases of this user: number or name')
    .option('--node <id>', 'only about this node', wholeNumber(1))
    .option('--lease <id>', 'only about this lease', wholeNumber(1))
    .option('--from <time>', 'only since then, such as 2026-01-31T00:00:00Z')
    .option('--to <time>', 'only before then')
    .option('--before <id>', 'only older ones than this event', wholeNumber(1))
    .option('--limit <n>', 'how many at most (default: 100)', wholeNumber(1))
    .addHelpText('after', '\nExample: orion audit list --type access.refused --from 2026-01-31T00:00:00Z')
    .action(action(async (context, options: AuditOptions) => (await import('../commands/audit')).listEvents(context, options)));
  audit
    .command('head')
    .description('print the newest signed head of the sealed log, and the key that verifies it')
    .addHelpText('after', '\nExample: orion audit head > head.txt')
    .action(action(async (context) => (await import('../commands/audit-seal')).showHead(context)));
  audit
    .command('export')
    .description('write the sealed log as lines of JSON, with what `orion audit verify` needs')
    .option('--from <n>', 'number of the first entry (default: 0)', wholeNumber(0))
    .option('--to <n>', 'only entries before this number (default: all that are signed)', wholeNumber(0))
    .addHelpText('after', '\nExample: orion audit export > audit.jsonl')
    .action(
      action(async (context, options: { from?: number; to?: number }) =>
        (await import('../commands/audit-seal')).exportLog(context, options),
      ),
    );
  audit
    .command('verify')
    .description('verify an export without a server: ends with 1 and names the first bad entry if anything was changed')
    .argument('<file>', 'an export')
    .requiredOption('--key <key>', 'the public key of the log, or its file')
    .option('--head <file>', 'a head that the log must continue: of an agent (orion-agent audit-head), or of before')
    .option('--complete', 'an entry whose event was deleted is a fault')
    .addHelpText('after', '\nExample: orion audit verify audit.jsonl --key audit_key.pub --head head-of-node-7.txt')
    .action(
      action(async (context, file: string, options: VerifyOptions) =>
        (await import('../commands/audit-seal')).verifyLog(context, file, options),
      ),
    );
}
