import { type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { randomName, sha256 } from '../../lib/ids';
import { actorOf, lockUser, setCode, type User } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import { type SignUp, signUp } from '../accounts/sign-up';
import type { FlowContext } from '../support/context';
import { noSuchUser, refuseDeleted } from './named-user';

/** A secret that sets a password once. Only its SHA-256 is stored. */
export interface OneTimeCode {
  code: string;
  expiresAt: Date;
}

interface NewAccount extends Omit<SignUp, 'password' | 'actor' | 'also' | 'mustChangePassword'> {
  /** The user must change it first. Undefined: the user gets a one-time code. */
  password: string | undefined;
  by: User;
}

/** Three days: an operator creates a class on Friday, and its people come on Monday. */
const CODE_SECONDS = 3 * 86_400;
/** 120 bits. */
const CODE_LENGTH = 24;

/** Creates an account for somebody else, also where people cannot sign up. Throws username_taken. */
export async function createUser(
  ctx: Pick<FlowContext, 'db'>,
  { by, password, ...account }: NewAccount,
): Promise<{ user: User; code: OneTimeCode | null }> {
  let code: OneTimeCode | null = null;
  const user = await signUp(ctx, {
    ...account,
    // Nobody knows this password. The account opens by its code only.
    password: password ?? randomName(CODE_LENGTH),
    mustChangePassword: password !== undefined,
    actor: actorOf(by),
    also: async (tx, created) => {
      code = password === undefined ? await issueCode(tx, created.id) : null;
    },
  });
  return { user, code };
}

/**
 * Issues a one-time code with which the user sets a new password. It replaces an earlier code. The old password and the sessions stay
 * valid until the code is used, so an order for the wrong user does no harm. Throws not_found and state_conflict.
 */
export function resetPassword(ctx: Pick<FlowContext, 'db'>, { userId, by }: { userId: number; by: User }): Promise<OneTimeCode> {
  return transaction(ctx.db, async (tx) => {
    const user = await lockUser(tx, userId);
    if (!user) {
      throw noSuchUser();
    }
    refuseDeleted(user);
    if (user.disabledAt !== null) {
      throw new OrionError(
        'state_conflict',
        'The account is disabled, and no code opens it. Enable it first: orion users set NAME --enable',
      );
    }
    const code = await issueCode(tx, userId);
    await recordEvent(tx, { type: 'user.code_issued', actor: actorOf(by), userId, data: { expires_at: code.expiresAt.toISOString() } });
    return code;
  });
}

async function issueCode(tx: Tx, userId: number): Promise<OneTimeCode> {
  const code = `orion_code_${randomName(CODE_LENGTH)}`;
  return { code, expiresAt: await setCode(tx, userId, { hash: sha256(code), seconds: CODE_SECONDS }) };
}
