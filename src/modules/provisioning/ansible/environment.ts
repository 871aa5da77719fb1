import { join } from 'node:path';
import type { PlayDirectory } from './play-directory';

/** Marks every process of a play, wherever it went: see process-group. */
export const PLAY_MARK = 'ORION_PLAY';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The whole environment of a run: nothing of the control plane's own, so no secret of its and no setting of an operator's leaks in. */
export function playEnvironment(directory: PlayDirectory, playbooksDir: string): Record<string, string> {
  return {
    PATH,
    HOME: directory.path,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    PYTHONDONTWRITEBYTECODE: '1',
    [PLAY_MARK]: directory.path,
    ANSIBLE_CONFIG: join(playbooksDir, 'ansible.cfg'),
    ANSIBLE_HOME: directory.path,
    ANSIBLE_LOCAL_TEMP: join(directory.path, 'tmp'),
    ANSIBLE_REMOTE_TEMP: '/tmp/.orion-ansible',
    ANSIBLE_SSH_ARGS: `-F '${directory.sshConfig}'`,
    ANSIBLE_SSH_CONTROL_PATH_DIR: directory.path,
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_NOCOWS: '1',
  };
}
