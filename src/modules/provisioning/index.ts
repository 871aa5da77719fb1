export { type AnsibleProvisioner, createAnsibleProvisioner, type AnsibleProvisionerDeps } from './ansible-provisioner';
export { sweepStalePlays } from './ansible/play-directory';
export { ProvisioningError, type ProvisioningFailure, NewerAccountError, UnfinishedWipeError } from './errors';
export type { AccountName, AccountSpec, Check, Fitness, NodeTarget, PlayReport, Provisioner, VerifyReport } from './types';
