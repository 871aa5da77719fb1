export { type AnsibleProvisioner, createAnsibleProvisioner } from './ansible-provisioner';
export { sweepStalePlays } from './ansible/play-directory';
export {
  ProvisioningError,
  type ProvisioningFailure,
  NewerAccountError,
  StaleUidError,
  UidTakenError,
  UnfinishedWipeError,
} from './errors';
export type { AccountSpec, AccountToWipe, Check, Fitness, NodeTarget, PlayReport, Provisioner, VerifyReport } from './types';
