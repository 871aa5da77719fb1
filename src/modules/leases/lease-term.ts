import { OrionError } from '../../lib/errors';

export interface TermLimits {
  maxLeaseHours: number;
}

/** Throws duration_too_long for a term beyond the user's limit. The term counts from the start of the lease. Pure. */
export function checkTerm(totalSeconds: number, { maxLeaseHours }: TermLimits): void {
  if (totalSeconds > maxLeaseHours * 3600) {
    throw new OrionError(
      'duration_too_long',
      `A lease of this account may last ${maxLeaseHours} h in all. Ask for less, or ask an operator for a higher limit.`,
      {
        details: { max_lease_hours: maxLeaseHours },
      },
    );
  }
}
