import { OrionError } from '../../lib/errors';

export interface TermLimits {
  maxLeaseHours: number;
}

/** Refuses a term beyond what the account may have, counted from the lease's start. Pure. */
export function checkTerm(totalSeconds: number, { maxLeaseHours }: TermLimits): void {
  if (totalSeconds > maxLeaseHours * 3600) {
    throw new OrionError('duration_too_long', `A lease of this account may last ${maxLeaseHours} h in all. Ask for less, or ask an operator for a higher limit.`, {
      details: { max_lease_hours: maxLeaseHours },
    });
  }
}
