import type { Clock } from '../lib/clock';
import type { SelfReport } from './wire';

/** What the control plane was told of this machine, so that a heartbeat has it only when it changed. */
export interface SelfNews {
  /** This registration was accepted. */
  registered(self: SelfReport): void;
  /** What a heartbeat has to tell, or undefined. `addresses`: of the machine's interfaces; with others the control plane may see it elsewhere. */
  pick(self: SelfReport, addresses: string): SelfReport | undefined;
  /** Of the heartbeat that had it. Undefined: a control plane that knows nothing of it. */
  answered(accepted: boolean | undefined): void;
}

/** What was not accepted (nobody answers at the new address yet) is told again after so long. */
const AGAIN_MS = 15_000;
/** The size of some file systems (ZFS, btrfs) changes with what is stored beside them: a part of it that is smaller is no news. */
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
        // The addresses are those of the registration.
        told = picked;
      }
      // Looking at a new address may take the control plane longer than this call may: then every second call goes without, or the contact would be lost.
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
