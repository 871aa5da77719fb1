import { transaction } from '../../db/transaction';
import { type ControlContext, type SignedText, textToSign } from '../../lib/control-key';
import { sha256 } from '../../lib/ids';
import { numberStatement } from '../../modules/nodes';
import type { SigningKey } from '../../ssh';
import type { FlowContext } from '../support/context';

export interface ManagementSettings {
  username: string;
  publicKeys: string[];
  controlKey: SigningKey;
  /** Earlier control keys that agents may still have pinned. Each signs the present key. */
  oldControlKeys: SigningKey[];
}

/** The keys that open nodes, in the form that agents receive with each answer. */
export interface SignedManagement {
  username: string;
  publicKeys: string[];
  /** `ssh-ed25519 base64`. */
  controlKey: string;
  statement: SignedText;
  successors: (SignedText & { by: string })[];
}

/** Signs the management statement once in the life of a process, because it contains nothing about a single node. */
export async function signManagement(
  ctx: Pick<FlowContext, 'db'>,
  { username, publicKeys, controlKey, oldControlKeys }: ManagementSettings,
): Promise<SignedManagement> {
  const content = { username, public_keys: publicKeys };
  const serial = await transaction(ctx.db, (tx) => numberStatement(tx, sha256(JSON.stringify([content, controlKey.publicKey]))));
  return {
    username,
    publicKeys,
    controlKey: controlKey.publicKey,
    statement: signText(controlKey, 'management v1', JSON.stringify({ ...content, serial })),
    successors: oldControlKeys.map((old) => ({
      by: old.publicKey,
      ...signText(old, 'successor v1', JSON.stringify({ key: controlKey.publicKey })),
    })),
  };
}

export const signText = (key: SigningKey, context: ControlContext, text: string): SignedText => ({
  text,
  signature: key.sign(textToSign(context, text)),
});
