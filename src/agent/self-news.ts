import type { Clock } from '../lib/clock';
import type { SelfReport } from './wire';

/** Tracks which facts of this machine the control plane already has, so that a heartbeat contains them only when they changed. */
export interface SelfNews {
  /** Records that the control plane accepted this registration. */
  registered(self: SelfReport): void;
  /**
   * Returns what the next heartbeat must report, or undefined. `addresses` are those of the machine's interfaces: when they change, the
   * control plane may see the machine at another address.
   */
  pick(self: SelfReport, addresses: string): SelfReport | undefined;
  /** Handles the answer to the heartbeat that reported the change. Undefined: the control plane does not support such reports. */
  answered(accepted: boolean | undefined): void;
}

/** Pause before a report that was not accepted is sent again. Example: the machine cannot be reached at its new address yet. */
const AGAIN_MS = 15_000;
/**
 * Smallest relative change of the disk size that is reported. The size of some file systems (ZFS, btrfs) changes with the data beside them.
 */
const DISK_NEWS = 0.05;

export function createSelfNews({ monotonicMs }: Pick<Clock, 'monotonicMs'>): SelfNews {
  let told: string | undefined;
  let picked: string | undefined;
  let registeredAs: string | undefined;
  let diskMb = 0;
  let notBeforeMs = 0;
  let isUnanswered = false;
  const textOf = (self: SelfReport): string => {
    if (Math.abs(self.facts.disk_mb - diskMb) > DISK_NEWS * diskMb) {
      diskMb = self.facts.disk_mb;
    }
    return JSON.stringify({ ...self, facts: { ...self.facts, disk_mb: diskMb } });
  };
  return {
    registered: (self) => {
      registeredAs = textOf(self);
      told = undefined;
    },
    pick: (self, addresses) => {
      const text = textOf(self);
      picked = `${text} ${addresses}`;
      if (told === undefined && registeredAs === text) {
        // These addresses are those of the registration.
        told = picked;
      }
      // Checking a new address may take the control plane longer than the timeout of this call. So every second call omits the report, or
      // contact would be lost.
      const isNews = told !== picked && monotonicMs() >= notBeforeMs && !isUnanswered;
      isUnanswered = isNews;
      picked = isNews ? picked : undefined;
      return isNews ? self : undefined;
    },
    answered: (accepted) => {
      isUnanswered = false;
      if (picked === undefined) {
        return;
      }
      if (accepted === false) {
        notBeforeMs = monotonicMs() + AGAIN_MS;
      } else {
        told = picked;
      }
    },
  };
}
