/** A fixed number of seats that callers take and give back. */
export interface Seats {
  /** Takes a seat and returns a function that gives it back, which may be called repeatedly. Undefined: all seats are taken. */
  take(): (() => void) | undefined;
}

export function createSeats(count: number): Seats {
  const taken = new Set<object>();
  return {
    take: () => {
      const seat = {};
      return taken.size < count ? (taken.add(seat), () => void taken.delete(seat)) : undefined;
    },
  };
}
