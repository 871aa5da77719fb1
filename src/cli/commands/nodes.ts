import { NODE_HEAD, nodeRow } from '../node-view';
import { callPages, type CommandContext, withSession } from '../session';
import type { Node } from '../../contract';

export async function nodes(context: CommandContext, { status }: { status?: string }): Promise<void> {
  await withSession(context, async (session) => {
    const query = status === undefined ? '' : `?${new URLSearchParams({ status }).toString()}`;
    const { items, text } = await callPages<Node>(session, `/api/nodes${query}`);
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    await context.out.table(NODE_HEAD, items.map(nodeRow), 'There is no such node.');
  });
}
