/** Pairs the items of two lists by position. Throws when their lengths differ. */
export function zip<A, B>(these: readonly A[], those: readonly B[]): [A, B][] {
  if (these.length !== those.length) {
    throw new Error(`${those.length} do not go with ${these.length}`);
  }
  return these.map((each, at) => [each, those[at] as B]);
}
