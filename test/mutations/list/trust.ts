import type { Mutation } from '../mutation';

/** Who a node is, and who the control plane is. */
export const TRUST: Mutation[] = [
  {
    name: 'management-signature-not-verified',
    what: 'an agent installs management keys whatever their signature, and takes answers from whoever gives them',
    breaks: 'trust',
    shows: 'admits a management key that somebody on the path added',
    scenario: 'fault-injections-real/hostile-path',
    edits: [
      {
        file: 'src/agent/control-trust.ts',
        find: 'if (!isSignedByControlKey(offer.controlKey, context, signed)) {',
        replace: "if (signed.text === '' && !isSignedByControlKey(offer.controlKey, context, signed)) {",
      },
      {
        file: 'src/agent/answer.ts',
        find: 'if (isDecisive(answer) && !isSealed(',
        replace: 'if (status === 0 && isDecisive(answer) && !isSealed(',
      },
    ],
  },
  {
    name: 'live-row-taken-over',
    what: 'who has the host key of a node gets its row with a join token, though the node is in use',
    breaks: 'trust',
    shows: 'a copy of it took its row while it was leased',
    scenario: 'fault-injections-real/clone',
    edits: [
      {
        file: 'src/flows/nodes/tell-clones.ts',
        find: "  if (incumbent.answer === 'shown') {\n",
        replace: '  if (incumbent.answer !== undefined) {\n',
      },
    ],
  },
  {
    name: 'leaf-ignores-payload',
    what: 'the entry of an event in the audit log is the hash of its number alone',
    breaks: 'trust',
    shows: 'is not the hash of its event',
    scenario: 'fault-injections/resealed-log',
    edits: [
      {
        file: 'src/modules/audit/queries/entries.ts',
        find: 'leafHash(salt, sealedText(event))',
        replace: 'leafHash(salt, String(event.id))',
      },
    ],
  },
  {
    name: 'agent-keeps-any-head',
    what: 'an agent keeps each signed head of the audit log, whether it continues the one before or not',
    breaks: 'trust',
    shows: 'does not continue the one that it had',
    scenario: 'fault-injections/resealed-log',
    edits: [
      {
        file: 'src/agent/audit-witness.ts',
        find: 'const problem = kept ? await whyNot(openHead(kept.note, key), head, prove) : ',
        replace: 'const problem = kept ? undefined : ',
      },
    ],
  },
];
