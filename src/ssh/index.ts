export { createDial, dialDirectly, type Dial, type Reach, type SshTarget } from './dial';
export { createProber, type Prober, type ProbeResult } from './prober';
export { HostKeyChangedError, runOnNode, type SessionSettings } from './session';
export { publicKeyOf } from './keys';
