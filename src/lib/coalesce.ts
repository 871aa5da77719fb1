/**
 * Coalesces concurrent calls of `work`, by key. A caller that arrives while a run is under way gets the result of the next run, as do all
 * others that arrive meanwhile. So each caller gets data from the time of its call or later. Any number of callers cost one run at a time.
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
    const next = current
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
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
