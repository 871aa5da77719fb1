import { ApiError, CliError } from '../errors';
import { type CommandContext, findLogin, withApi } from '../session';

/**
 * Revokes the token and deletes it from this machine. If the server does not answer, it deletes the token all the same and prints a
 * warning.
 */
export async function logout(context: CommandContext): Promise<void> {
  const { out, store } = context;
  const { server, token, username } = await findLogin(context);
  if (token === undefined) {
    out.note(`You were not logged in at ${server}.`);
    return;
  }
  const revoked = await withApi(context, { server, token }, async ({ api }) => {
    try {
      await api.call((orion) => orion['/api/logout'].POST(), { repeatable: true });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        return true;
      }
      if (error instanceof CliError) {
        out.warn(`The token was not revoked at the server (${error.message}): it stays valid until it expires.`);
        return false;
      }
      throw error;
    }
  });
  await store.writeLogin({ server, username });
  out.line(revoked ? `logged out from ${server}` : `forgot the token for ${server}`);
  out.next('orion login');
}
