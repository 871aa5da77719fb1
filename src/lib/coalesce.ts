/**
 * Lets many callers share the runs of `work`, by key: whoever comes while one is under way gets the result of the next, together with all others who came
 * meanwhile. So each caller sees what was true when it asked, or later, and any number of callers cost one run after the other.
 */
export function coalesce<K, T>(work: (key: K) => Promise<T>): (key: K) => Promise<T> {
  const running = new Map<K, Promise<T>>();
  const waiting = new Map<K, Promise<T>>();
  const start = (key: K): Promise<T> => {
    const run = work(key).finally(() => running.delete(key));
    running.set(key, run);
    return run;
  };
  const wait = (key: K, current: Promise<T>): Promise<T> => {
    const next = current.then(() => undefined, () => undefined).then(() => {
      waiting.delete(key);
      return start(key);
    });
    waiting.set(key, next);
    return next;
  };
  return (key) => {
    const current = running.get(key);
    return waiting.get(key) ?? (current ? wait(key, current) : start(key));
  };
}
