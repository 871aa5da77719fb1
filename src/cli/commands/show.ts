import { describeCheckpoint, formatRequirements, isRunning, printLease } from '../lease-view';
import type { Output } from '../output';
import { type CommandContext, withSession } from '../session';
import { formatTime, printable } from '../text';
import type { LeaseDetail } from '../../contract';

/** Prints a lease with its history: its events, and the machines that it was on. */
export async function show(context: CommandContext, id: number): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call((orion) => orion['/api/leases/{id}'].GET({ params: { path: { id } } }));
    if (out.json) {
      out.document(answer.text);
      return;
    }
    const lease = answer.data;
    printLease(out, lease);
    out.line(`  rented ${formatTime(lease.created_at)}, asked for ${formatRequirements(lease.requirements)}`);
    if (isRunning(lease)) {
      out.line(`  home ${describeCheckpoint(lease)}`);
    }
    await printHistory(out, lease);
    if (isRunning(lease)) {
      out.next(`orion ssh ${id}`, `orion extend ${id} --hours 1`, `orion release ${id}`);
    }
  });
}

async function printHistory(out: Output, { placements, events }: LeaseDetail): Promise<void> {
  out.line('');
  const rows = placements.map((placement) => [
    String(placement.generation),
    String(placement.node_id),
    placement.state,
    formatTime(placement.present_at),
    formatTime(placement.wiped_at),
    printable(placement.last_error ?? '-'),
  ]);
  await out.table(['GENERATION', 'NODE', 'ACCOUNT', 'MADE', 'WIPED', 'LAST ERROR'], rows, 'It was on no machine yet.');
  out.line('');
  await out.table(
    ['WHEN', 'WHAT', 'WHO'],
    events.map(({ at, type, actor }) => [formatTime(at), printable(type), printable(actor)]),
    'Nothing happened to it yet.',
  );
}
