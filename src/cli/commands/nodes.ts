import { NODE_HEAD, nodeRow } from '../node-view';
import { callPages, type CommandContext, withSession } from '../session';
import type { NodeStatus } from '../../contract';

export async function nodes(context: CommandContext, { status }: { status?: NodeStatus }): Promise<void> {
  await withSession(context, async (session) => {
    const { items, text } = await callPages(session, (orion, cursor) => orion['/api/nodes'].GET({ params: { query: { status, cursor } } }));
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    await context.out.table(NODE_HEAD, items.map(nodeRow), 'There is no such node.');
  });
}
