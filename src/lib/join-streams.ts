import { type Duplex, pipeline } from 'node:stream';

/** Each one's bytes go into the other, with backpressure; the end of one direction ends only that one; the loss of one side is the loss of both. */
export function joinStreams(one: Duplex, other: Duplex): void {
  const lost = (error: Error | null | undefined): void => {
    if (error) {
      one.destroy();
      other.destroy();
    }
  };
  pipeline(one, other, lost);
  pipeline(other, one, lost);
}
