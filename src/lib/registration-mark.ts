/**
 * File in which a machine keeps a random text while it registers. Its registration contains the same text. The control plane reads the file
 * over SSH, so it knows whether the machine that registers is the one at a node's address, or a copy of it. /run is never part of an image,
 * and it is writable when the disk is full.
 */
export const REGISTRATION_MARK_FILE = '/run/orion-agent.mark';
