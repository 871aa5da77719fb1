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

export function createSelfNews({ monotonicMs }: Pick<Clock, 'monotonicMs'>): SelfNews {
  let told: string | undefined;
  let picked: string | undefined;
  let registeredAs: string | undefined;
  let notBeforeMs = 0;
  return {
    registered: (self) => {
      registeredAs = JSON.stringify(self);
      told = undefined;
    },
    pick: (self, addresses) => {
      const text = JSON.stringify(self);
      picked = `${text} ${addresses}`;
      if (told === undefined && registeredAs === text) {
        // The addresses are those of the registration.
        told = picked;
      }
      const isNews = told !== picked && monotonicMs() >= notBeforeMs;
      picked = isNews ? picked : undefined;
      return isNews ? self : undefined;
    },
    answered: (accepted) => {
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
