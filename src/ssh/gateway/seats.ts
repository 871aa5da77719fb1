/** A number of places, each taken by somebody and given back. */
export interface Seats {
  /** How to give it back, any number of times; undefined: all are taken. */
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
