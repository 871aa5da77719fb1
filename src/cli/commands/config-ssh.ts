import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { usageError } from '../errors';
import { writePrivateFile } from '../private-file';
import { callPages, type CommandContext, type Session, withSession } from '../session';
import { nameOf, renderInclude, renderKnownHosts, renderSshConfig, type SshHost } from '../ssh-config';
import { homeOf, type Store } from '../store';
import { createUserSshConfig } from '../user-ssh-config';

export interface ConfigSshOptions {
  print?: boolean;
  remove?: boolean;
}

interface Files {
  config: string;
  knownHosts: string;
  /** The text at the start of ~/.ssh/config. It must come first, because text further down belongs to a Host block. */
  include: string;
}

/**
 * Writes the running leases into an SSH configuration file, which ~/.ssh/config includes. Plain ssh, scp, sftp and rsync then know them.
 */
export async function configSsh(context: CommandContext, options: ConfigSshOptions): Promise<void> {
  if (options.print && options.remove) {
    throw usageError('Give either --print or --remove.');
  }
  const files = filesIn(context.store);
  if (options.remove) {
    await remove(context, files);
    return;
  }
  await withSession(context, async (session) => {
    const hosts = await listHosts(session);
    const config = renderSshConfig(hosts, files.knownHosts);
    if (options.print) {
      context.out.document(config);
      return;
    }
    await writePrivateFile(files.knownHosts, renderKnownHosts(hosts));
    await writePrivateFile(files.config, config);
    const user = createUserSshConfig(homeOf(context.io.env));
    if (await user.add(files.include)) {
      context.out.note(`${user.file} now includes ${files.config}`);
    }
    report(context, hosts);
  });
}

function filesIn({ dir }: Store): Files {
  const config = join(dir, 'ssh_config');
  return {
    config,
    knownHosts: join(dir, 'known_hosts'),
    include: `# Added by \`orion config-ssh\`; \`orion config-ssh --remove\` takes it away.\n${renderInclude(config)}\n`,
  };
}

async function listHosts(session: Session): Promise<SshHost[]> {
  const { items } = await callPages(session, (orion, cursor) =>
    orion['/api/leases'].GET({ params: { query: { running: 'true', cursor } } }),
  );
  const found = await Promise.all(
    items.map(async ({ id, gateway, access }) => {
      const target = gateway ?? access;
      return target ? [{ leaseId: id, target, privateKey: await session.store.findLeaseKey(session.api.server, id) }] : [];
    }),
  );
  return found.flat();
}

function report({ out }: CommandContext, hosts: SshHost[]): void {
  if (out.json) {
    out.document(JSON.stringify({ hosts: hosts.map(({ leaseId }) => ({ host: nameOf(leaseId), lease_id: leaseId })) }));
  }
  for (const { leaseId, target } of hosts) {
    out.line(`${nameOf(leaseId)}  ${target.username}@${target.host}:${target.port}`);
  }
  const [first] = hosts;
  if (first) {
    out.next(`ssh ${nameOf(first.leaseId)}`, `rsync -a DIR ${nameOf(first.leaseId)}:`);
  } else {
    out.note('You have no running lease that one can log in to.');
    out.next('orion rent');
  }
}

async function remove({ io, out }: CommandContext, { config, knownHosts, include }: Files): Promise<void> {
  const user = createUserSshConfig(homeOf(io.env));
  if (await user.remove(include)) {
    out.note(`${user.file} is as it was`);
  }
  await Promise.all([config, knownHosts].map((file) => rm(file, { force: true })));
}
