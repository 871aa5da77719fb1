/**
 * Where a machine keeps, while it registers, a random text that its registration has, too. The control plane reads the file over SSH: so it knows whether the
 * machine that registers is the one at a node's address, or a copy of it. /run is never part of an image, and writable when the disk is full.
 */
export const REGISTRATION_MARK_FILE = '/run/orion-agent.mark';
