import { join } from 'node:path';
import type { PlayDirectory } from './play-directory';

/** Environment variable that marks every process of a play, even one that left the process group: see process-group. */
export const PLAY_MARK = 'ORION_PLAY';

export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The complete environment of an Ansible process with a private folder. It contains nothing of the control plane's own environment, so no
 * secret and no setting of an operator leaks in.
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

/** The environment of one ansible-playbook process. */
export const playEnvironment = (directory: PlayDirectory, playbooksDir: string): Record<string, string> => ({
  ...ansibleEnvironment(directory.path, playbooksDir),
  ANSIBLE_SSH_ARGS: `-F '${directory.sshConfig}'`,
  ANSIBLE_SSH_CONTROL_PATH_DIR: directory.path,
});
