export { createDial, dialDirectly, type Dial, type Reach, type SshTarget } from './dial';
export { createMarkFinder, type FindMark, type MarkAnswer } from './mark';
export { createProber, type Prober, type ProbeResult } from './prober';
export { HostKeyChangedError, type Login, runOnNode, type SessionSettings } from './session';
export { streamOnNode, type StreamEnd, type StreamJob, type StreamOnNode } from './stream';
export { publicKeyOf, signingKeyOf, type SigningKey } from './keys';
export { isSignedBySshKey, type SshSignature } from './ssh-signature';
export { type CommandJob, type CommandResult, OutputLimitError, SessionBrokenError } from './command';
export { createKeptSessions, isSameTarget, type KeptSessions, type KeptSessionsSettings } from './kept-sessions';
