export { createDial, dialDirectly, type Dial, type Reach, type SshTarget } from './dial';
export { createMarkFinder, type FindMark, type MarkAnswer } from './mark';
export { createProber, type Prober, type ProbeResult } from './prober';
export { HostKeyChangedError, type SessionSettings } from './session';
export { streamOnNode, type StreamEnd, type StreamOnNode } from './stream';
export { publicKeyOf, signingKeyOf, type SigningKey } from './keys';
export { isSignedBySshKey } from './ssh-signature';
export { type CommandResult, OutputLimitError } from './command';
export { createPooledSessions, isSameTarget, type PooledSessions, type PooledSessionsSettings } from './pooled-sessions';
