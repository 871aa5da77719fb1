import type { Fault } from '../fault';

/** Who a node is, and who the control plane is. */
export const TRUST: Fault[] = [
  {
    name: 'management-signature-not-verified',
    what: 'an agent installs management keys whatever their signature, and takes answers from whoever gives them',
    breaks: 'trust',
    shows: 'admits a management key that somebody on the path added',
    scenario: 'provocations-real/hostile-path',
    edits: [
      { file: 'src/agent/control-trust.ts', find: 'if (!isSignedByControlKey(offer.controlKey, context, signed)) {', replace: "if (signed.text === '' && !isSignedByControlKey(offer.controlKey, context, signed)) {" },
      { file: 'src/agent/answer.ts', find: 'if (isDecisive(status) && !isSealed(', replace: 'if (status === 0 && isDecisive(status) && !isSealed(' },
    ],
  },
];
