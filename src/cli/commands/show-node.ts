import { CliError } from '../errors';
import { EXIT } from '../exit-codes';
import { describeNode, describeUse, fingerprintToCheck } from '../node-view';
import type { Output } from '../output';
import { type CommandContext, withSession } from '../session';
import { printable } from '../text';
import type { Node } from '../../contract';

/** Prints one node, with the host key that an admin compares before approving it. */
export async function showNode(context: CommandContext, id: number): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const { data } = await api.call((orion) => orion['/api/nodes'].GET({ params: { query: { cursor: String(id - 1), limit: 1 } } }));
    const [node] = data.items;
    if (node?.id !== id) {
      throw new CliError(`There is no node ${id} that you may see.`, { exitCode: EXIT.notFound, hint: 'List them with: orion nodes' });
    }
    if (out.json) {
      out.document(JSON.stringify(node));
      return;
    }
    out.line(describeNode(node));
    describeHostKeys(out, node);
    for (const { name, result, cause, remedy } of node.checks ?? []) {
      out.line(
        result === 'ok'
          ? `  check ${printable(name)}: ok`
          : `  check ${printable(name)}: failed: ${printable(cause)}\n    ${printable(remedy)}`,
      );
    }
    describeUse(node).forEach((line) => out.line(`  ${line}`));
    adviseApproval(out, node);
  });
}

function adviseApproval(out: Output, node: Node): void {
  const fingerprint = fingerprintToCheck(node);
  if (fingerprint !== undefined && (node.status === 'pending' || node.status === 'quarantined')) {
    out.note('Compare it on the machine itself: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub');
    out.next(`orion node approve ${node.id} --fingerprint ${printable(fingerprint)}${replacing(node)}`);
  } else if (node.predecessor_id) {
    out.next(`orion node approve ${node.id}${replacing(node)}`);
  }
}

const replacing = ({ predecessor_id: id }: Node): string => (id ? ` --replaces ${id}` : '');

function describeHostKeys(out: Pick<Output, 'line'>, node: Node): void {
  if (node.host_key_fingerprint !== undefined) {
    out.line(`  host key ${printable(node.host_key_fingerprint)}${node.status === 'pending' ? ' (not approved yet)' : ''}`);
  }
  if (node.offered_host_key_fingerprint) {
    out.line(`  shows another host key now: ${printable(node.offered_host_key_fingerprint)} (not approved)`);
  }
}
