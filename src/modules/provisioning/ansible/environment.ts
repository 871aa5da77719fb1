import { join } from 'node:path';
import type { PlayDirectory } from './play-directory';

/** Marks every process of a play, wherever it went: see process-group. */
export const PLAY_MARK = 'ORION_PLAY';

export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The whole environment of a process of Ansible's with a private folder: nothing of the control plane's own, so no secret of its and no setting of an
 * operator's leaks in.
 */
export function ansibleEnvironment(folder: string, playbooksDir: string): Record<string, string> {
  return {
    PATH,
    HOME: folder,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    PYTHONDONTWRITEBYTECODE: '1',
    [PLAY_MARK]: folder,
    ANSIBLE_CONFIG: join(playbooksDir, 'ansible.cfg'),
    ANSIBLE_HOME: folder,
    ANSIBLE_LOCAL_TEMP: join(folder, 'tmp'),
    ANSIBLE_REMOTE_TEMP: '/tmp/.orion-ansible',
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_NOCOWS: '1',
  };
}

/** The environment of one ansible-playbook. */
export const playEnvironment = (directory: PlayDirectory, playbooksDir: string): Record<string, string> => ({
  ...ansibleEnvironment(directory.path, playbooksDir),
  ANSIBLE_SSH_ARGS: `-F '${directory.sshConfig}'`,
  ANSIBLE_SSH_CONTROL_PATH_DIR: directory.path,
});
