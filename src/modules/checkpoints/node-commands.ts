import { type AccountOnNode, tenantCommand } from './as-tenant';

/** Exit code of `archiveCommand`: the state that `base` left on the node is gone. */
export const STATE_MISSING = 66;
/** Exit code of tar when files changed while it read them. This is no error: the archive contains what tar read. */
export const CHANGED_MEANWHILE = 1;

/**
 * tar's record of the last archive is in the home, so that it is removed with the home. The tenant can change it, but can only damage their
 * own backup.
 */
const ARCHIVE = `
set -eu; umask 077; cd "$HOME"
state=.orion-checkpoint
if [ "$2" != none ]; then
  [ -d "$state" ] && [ ! -L "$state" ] && [ -f "$state/$2" ] && [ ! -L "$state/$2" ] || exit ${STATE_MISSING}
fi
if [ ! -d "$state" ] || [ -L "$state" ]; then rm -rf -- "$state"; mkdir -- "$state"; fi
find "$state" -mindepth 1 -maxdepth 1 ! -name "$2" -exec rm -rf -- {} +
[ "$2" = none ] || cp -- "$state/$2" "$state/$1"
exec tar --create --file=- --format=gnu --sparse --one-file-system --no-check-device --ignore-failed-read \\
  --anchored --exclude=./.orion-checkpoint --exclude=./.orion-restore --exclude=./.ssh/authorized_keys --listed-incremental="$state/$1" .
`;

const BEGIN_RESTORE = `
set -eu; umask 077; cd "$HOME"
[ ! -d .orion-restore ] || chmod -R u+rwx .orion-restore
rm -rf .orion-restore
mkdir .orion-restore
`;

/** Folders that their owner cannot write to are made writable first. tar restores their mode at the end. */
const EXTRACT = `
set -eu; cd "$HOME/.orion-restore"
find . -type d ! -perm -700 -exec chmod u+rwx -- {} \\;
exec tar --extract --file=- --incremental --preserve-permissions
`;

/**
 * Replaces the home with what was extracted beside it, except the login keys, which provisioning manages. Repeating it after a crash has
 * the same result.
 */
const FINISH_RESTORE = `
set -eu; umask 077; cd "$HOME"
from=.orion-restore
[ -d "$from" ]
clear() {
  find "$1" -mindepth 1 -maxdepth 1 ! -name "$2" ! -name "$from" -type d -exec chmod -R u+rwx -- {} +
  find "$1" -mindepth 1 -maxdepth 1 ! -name "$2" ! -name "$from" -exec rm -rf -- {} +
}
clear . .ssh
clear .ssh authorized_keys
if [ -d "$from/.ssh" ] && [ ! -L "$from/.ssh" ]; then
  chmod u+rwx "$from/.ssh"
  rm -rf -- "$from/.ssh/authorized_keys"
  find "$from/.ssh" -mindepth 1 -maxdepth 1 -exec mv -f -t .ssh -- {} +
fi
rm -rf -- "$from/.ssh"
find "$from" -mindepth 1 -maxdepth 1 \\( ! -type d -o -perm -200 \\) -exec mv -f -t . -- {} +
find "$from" -mindepth 1 -maxdepth 1 -exec sh -c '
  for folder do
    mode=$(stat -c %a -- "$folder")
    chmod u+w -- "$folder"
    mv -f -t . -- "$folder"
    chmod "$mode" -- "./\${folder##*/}"
  done' sh {} +
rmdir -- "$from"
`;

/** Writes an archive of the home to stdout: a full archive, or the changes since `base`. */
export const archiveCommand = (account: AccountOnNode, { name, base }: { name: string; base: string | null }): string =>
  tenantCommand(account, { script: ARCHIVE, args: [name, base ?? 'none'], nice: true });

export const beginRestoreCommand = (account: AccountOnNode): string => tenantCommand(account, { script: BEGIN_RESTORE });

/** Extracts an archive from stdin. Called for each archive, in order. */
export const extractCommand = (account: AccountOnNode): string => tenantCommand(account, { script: EXTRACT });

export const finishRestoreCommand = (account: AccountOnNode): string => tenantCommand(account, { script: FINISH_RESTORE });
