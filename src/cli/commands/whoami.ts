import { type CommandContext, withSession } from '../session';

export async function whoami(context: CommandContext): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call((orion) => orion['/api/me'].GET());
    if (out.json) {
      out.document(answer.text);
      return;
    }
    const { user } = answer.data;
    out.line(`${user.username} (${user.role}) at ${api.server}: up to ${user.max_leases} leases of up to ${user.max_lease_hours} h`);
  });
}
