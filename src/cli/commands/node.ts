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
  policy?: string;
}

/** What an operator does to one node. */
export async function operateNode(context: CommandContext, { verb, id }: { verb: NodeVerb; id: number }, options: NodeOptions): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call({ method: 'POST', path: `/api/nodes/${id}/${verb}`, body: BODIES[verb](options), repeatable: true });
    if (out.json) {
      out.document(answer.text);
      return;
    }
    const node = answer.body as Node;
    out.line(describeNode(node));
    advise(out, verb, node);
  });
}

const BODIES: Record<NodeVerb, (options: NodeOptions) => Record<string, unknown> | undefined> = {
  approve: ({ fingerprint, replaces }) => ({ ...(fingerprint === undefined ? {} : { host_key_fingerprint: fingerprint }), ...(replaces === undefined ? {} : { replaces }) }),
  drain: ({ move }) => (move ? { move: true } : {}),
  undrain: () => undefined,
  quarantine: ({ reason }) => ({ reason: reason ?? '' }),
  retire: () => undefined,
  label: ({ change }) => ({ ...change }),
  'shared-storage': ({ policy }) => ({ policy }),
  limit: ({ maxCpus, maxMemoryMb }) => ({ max_cpus: maxCpus ?? null, max_memory_mb: maxMemoryMb ?? null }),
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
      { out.next('orion nodes --watch'); return; }
    case 'drain':
      out.note(node.lease_id === null ? 'Nothing is leased to it any more.' : 'No new lease goes there; the present one stays until it ends or moves.');
      { out.next(`orion node undrain ${node.id}`, `orion node retire ${node.id}`); return; }
    case 'quarantine':
      { out.next(`orion node show ${node.id}`, `orion node retire ${node.id}`); return; }
    case 'label':
      out.note(`Labels: ${formatLabels(node.labels)}`);
      { out.next('orion nodes'); return; }
    case 'limit':
      out.note(`What counts: ${node.cpus} CPUs, ${formatMemory(node.memory_mb)}. A higher limit counts once the node registers again.`);
      { out.next('orion nodes'); return; }
    case 'undrain':
    case 'retire':
      { out.next('orion nodes'); return; }
  }
}
