import { algorithmsFor, CIPHERS, KEY_EXCHANGES } from '../../lib/ssh-algorithms';
import { fail, type Finding } from './check';
import type { Settings } from './sshd';

/** Checks that sshd and the control plane have algorithms in common. A kind that sshd does not list is skipped. */
export function algorithmFindings(settings: Settings, hostKeyType: string | undefined, config: string): Finding[] {
  const compare = (keyword: string, option: string, ours: readonly string[]): Finding[] => {
    const theirs = settings.get(keyword)?.[0]?.split(',');
    return !theirs || ours.some((name) => theirs.includes(name))
      ? []
      : [
          fail(
            `${option} in ${config} has none that the control plane offers (${theirs.join(',')})`,
            `add one of ${ours.join(', ')} to ${option}`,
          ),
        ];
  };
  return [
    ...compare('kexalgorithms', 'KexAlgorithms', KEY_EXCHANGES),
    ...compare('ciphers', 'Ciphers', CIPHERS),
    ...(hostKeyType === undefined ? [] : compare('hostkeyalgorithms', 'HostKeyAlgorithms', algorithmsFor(hostKeyType))),
  ];
}
