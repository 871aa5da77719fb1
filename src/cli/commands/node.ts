import type { OrionClient } from '../../client';
import type { LabelChange } from '../arguments';
import { describeNode, describeSharedStorage } from '../node-view';
import type { Output } from '../output';
import { type CommandContext, withSession } from '../session';
import { formatLabels, formatMemory, printable } from '../text';
import type { Node } from '../../contract';

export type NodeVerb = 'approve' | 'drain' | 'undrain' | 'quarantine' | 'retire' | 'label' | 'limit' | 'shared-storage';

export interface NodeOptions {
  fingerprint?: string;
  replaces?: number;
  move?: boolean;
  reason?: string;
  change?: LabelChange;
  maxCpus?: number;
  maxMemoryMb?: number;
  policy?: 'allow' | 'refuse';
}

/** Runs one operator command on a node. */
export async function operateNode(
  context: CommandContext,
  { verb, id }: { verb: NodeVerb; id: number },
  options: NodeOptions,
): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call((orion) => CALLS[verb](orion, { params: { path: { id } } }, options), { repeatable: true });
    if (out.json) {
      out.document(answer.text);
      return;
    }
    out.line(describeNode(answer.data));
    advise(out, verb, answer.data);
  });
}

/** Path parameters that name the node. */
type On = { params: { path: { id: number } } };

const CALLS: Record<NodeVerb, (orion: OrionClient, on: On, options: NodeOptions) => Promise<{ data?: Node | undefined }>> = {
  approve: (orion, on, { fingerprint, replaces }) =>
    orion['/api/nodes/{id}/approve'].POST({ ...on, body: { host_key_fingerprint: fingerprint, replaces } }),
  drain: (orion, on, { move }) => orion['/api/nodes/{id}/drain'].POST({ ...on, body: { move } }),
  undrain: (orion, on) => orion['/api/nodes/{id}/undrain'].POST(on),
  quarantine: (orion, on, { reason = '' }) => orion['/api/nodes/{id}/quarantine'].POST({ ...on, body: { reason } }),
  retire: (orion, on) => orion['/api/nodes/{id}/retire'].POST(on),
  label: (orion, on, { change }) => orion['/api/nodes/{id}/label'].POST({ ...on, body: { ...change } }),
  'shared-storage': (orion, on, { policy = 'allow' }) => orion['/api/nodes/{id}/shared-storage'].POST({ ...on, body: { policy } }),
  limit: (orion, on, { maxCpus, maxMemoryMb }) =>
    orion['/api/nodes/{id}/limit'].POST({ ...on, body: { max_cpus: maxCpus ?? null, max_memory_mb: maxMemoryMb ?? null } }),
};

function advise(out: Output, verb: NodeVerb, node: Node): void {
  if (verb === 'shared-storage') {
    out.note(describeSharedStorage(node));
    out.next(`orion node show ${node.id}`);
    return;
  }
  adviseOn(out, verb, node);
}

function adviseOn(out: Output, verb: Exclude<NodeVerb, 'shared-storage'>, node: Node): void {
  switch (verb) {
    case 'approve':
      out.note(`Trusted from now on: host key ${printable(node.host_key_fingerprint ?? '(not told)')}`);
      {
        out.next('orion nodes --watch');
        return;
      }
    case 'drain':
      out.note(
        node.lease_id === null
          ? 'Nothing is leased to it any more.'
          : 'No new lease goes there; the present one stays until it ends or moves.',
      );
      {
        out.next(`orion node undrain ${node.id}`, `orion node retire ${node.id}`);
        return;
      }
    case 'quarantine': {
      out.next(`orion node show ${node.id}`, `orion node retire ${node.id}`);
      return;
    }
    case 'label':
      out.note(`Labels: ${formatLabels(node.labels)}`);
      {
        out.next('orion nodes');
        return;
      }
    case 'limit':
      out.note(`What counts: ${node.cpus} CPUs, ${formatMemory(node.memory_mb)}. A higher limit counts once the node registers again.`);
      {
        out.next('orion nodes');
        return;
      }
    case 'undrain':
    case 'retire': {
      out.next('orion nodes');
      return;
    }
  }
}
