import { describe, expect, it } from '@jest/globals';
import { programTexts } from './sql';

/** What stands in parentheses is a condition or a value, not the target of an assignment. */
function withoutParentheses(text: string): string {
  const shorter = text.replace(/\([^()]*\)/g, '');
  return shorter === text ? text : withoutParentheses(shorter);
}

/** An assignment to the state of a lease, a placement or a node that is written out; what `stateSql` makes is inserted into the text. */
function assignsState(text: string): boolean {
  const [, set = ''] = /\b(?:UPDATE\s+(?:leases|placements|nodes)\b[\s\S]*?\bSET|ON DUPLICATE KEY UPDATE)\b([\s\S]*)/i.exec(text) ?? [];
  const [assignments = ''] = withoutParentheses(set).split(/\bWHERE\b/i);
  return /(?:^|,)\s*(?:\w+\.)?(?:state|status)\s*=/i.test(assignments);
}

describe('the state of a lease, a placement or a node', () => {
  it('is changed by no statement but those that are made from the moves', () => {
    expect(programTexts.filter(({ text }) => assignsState(text)).map(({ file, text }) => `${file}: ${text}`)).toEqual([]);
  });

  it.each([
    ["UPDATE leases SET state = 'active' WHERE id = ?", true],
    ['UPDATE placements p JOIN leases l ON l.id = p.lease_id SET p.due_at = IF(l.id = ?, NULL, ?), p.state = ? WHERE p.id = ?', true],
    ['INSERT INTO nodes (status) VALUES (?) ON DUPLICATE KEY UPDATE dirty = 1, status = VALUES(status)', true],
    ["UPDATE nodes SET status_since = IF(status = 'alive', ?, status_since) WHERE status = 'alive'", false],
    ['UPDATE checkpoints SET claim_token = NULL WHERE lease_id = ?', false],
  ])('is found in %j: %s', (text, found) => {
    expect(assignsState(text)).toBe(found);
  });
});
