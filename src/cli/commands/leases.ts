import { LEASE_HEAD, leaseRow } from '../lease-view';
import { callPages, type CommandContext, withSession } from '../session';

export interface LeasesOptions {
  /** Also list leases that are over. */
  all?: boolean;
  /** List the leases of all accounts. For admins. */
  everyone?: boolean;
}

export async function leases(context: CommandContext, { all, everyone }: LeasesOptions): Promise<void> {
  await withSession(context, async (session) => {
    const wanted = { scope: everyone ? 'all' : 'mine', running: all ? 'false' : 'true' } as const;
    const { items, text } = await callPages(session, (orion, cursor) =>
      orion['/api/leases'].GET({ params: { query: { ...wanted, cursor } } }),
    );
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    const head = everyone ? [...LEASE_HEAD, 'CLIENT'] : LEASE_HEAD;
    const rows = items.map((lease) => (everyone ? [...leaseRow(lease), String(lease.client_id)] : leaseRow(lease)));
    await context.out.table(head, rows, all ? 'You never had a lease.' : 'You have no running lease.');
    if (items.length === 0) {
      context.out.next('orion rent');
    }
  });
}
