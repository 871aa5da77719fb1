import { type CommandContext, withSession } from '../session';
import type { User } from '../../contract';

export async function whoami(context: CommandContext): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call({ method: 'GET', path: '/api/me' });
    if (out.json) {
      out.document(answer.text);
      return;
    }
    const { user } = answer.body as { user: User };
    out.line(`${user.username} (${user.role}) at ${api.server}: up to ${user.max_leases} leases of up to ${user.max_lease_hours} h`);
  });
}
