import { run, sshExec } from '../lab';
import type { NodeInspection, ShownKey } from './evidence';

export interface NodeLogin {
  nodeId: number;
  address: string;
  port: number;
  hostKey: string;
}

/** Prints `account NAME UID` for each Orion account and `uid N` for each uid of the tenants' range that owns a process or a file. */
const LOOK = String.raw`
sed -n 's/^\(orn-[^:]*\):[^:]*:\([0-9]*\):.*/account \1 \2/p' /etc/passwd
first=FIRST_UID last=LAST_UID
for status in /proc/[0-9]*/status; do sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "$status" 2>/dev/null; done | sort -u | while read -r uid; do
  [ "$uid" -ge "$first" ] && [ "$uid" -le "$last" ] && echo "uid $uid"
done
find / /tmp /var/tmp /dev/shm /run /home -xdev -uid +$((first - 1)) ! -uid +"$last" -printf 'uid %U\n' 2>/dev/null | sort -u
true`;

export interface Inspector {
  user: string;
  keyFile: string;
  firstUid: number;
  lastUid: number;
}

/** Logs in to a node with the checker's own key and looks. Null when the node cannot be reached: then nothing is known of it. */
export async function inspectNode(
  { user, keyFile, firstUid, lastUid }: Inspector,
  { nodeId, address, port, hostKey }: NodeLogin,
  at: number,
): Promise<NodeInspection | null> {
  const script = LOOK.replace('FIRST_UID', String(firstUid)).replace('LAST_UID', String(lastUid));
  const { code, stdout } = await sshExec({ address, port, user, keyFile, hostKey }, 'sh -s', { input: script, timeoutMs: 30_000 });
  if (code !== 0) {
    return null;
  }
  const words = stdout.split('\n').map((line) => line.split(' '));
  return {
    nodeId,
    at,
    accounts: words.filter(([kind]) => kind === 'account').map(([, username = '', uid]) => ({ username, uid: Number(uid) })),
    strayUids: [...new Set(words.filter(([kind]) => kind === 'uid').map(([, uid]) => Number(uid)))],
  };
}

/** The host key that a machine shows to anybody who asks; null when it shows none. */
export async function askHostKey({ nodeId, address, port }: Omit<NodeLogin, 'hostKey'>, at: number): Promise<ShownKey | null> {
  const { stdout } = await run('ssh-keyscan', ['-T', '5', '-t', 'ed25519', '-p', String(port), address]);
  const [, type, blob] = (stdout.split('\n').find((line) => line !== '' && !line.startsWith('#')) ?? '').split(' ');
  return type && blob ? { nodeId, at, hostKey: `${type} ${blob}` } : null;
}
