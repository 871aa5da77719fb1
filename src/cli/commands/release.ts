import { describeLease } from '../lease-view';
import { withProgress } from '../progress';
import { type CommandContext, withSession } from '../session';

/** Ends a lease now. Releasing a lease that is over succeeds and changes nothing. */
export async function release(context: CommandContext, leaseId: number): Promise<void> {
  await withSession(context, async ({ api, out, store }) => {
    const answer = await withProgress(context, `releasing lease ${leaseId}`, () =>
      api.call((orion) => orion['/api/release'].POST({ body: { lease_id: leaseId } }), { repeatable: true }),
    );
    await store.forgetLeaseKey(api.server, leaseId);
    if (out.json) {
      out.document(answer.text);
      return;
    }
    out.line(describeLease(answer.data));
    out.note('The account and all that it left are being removed from the machine.');
    out.next(`orion show ${leaseId}`, 'orion rent');
  });
}
