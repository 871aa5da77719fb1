import { expect, it } from '@jest/globals';
import { stateSql } from './moves';

const door = stateSql({
  table: 'doors',
  column: 'state',
  moves: {
    build: { from: [], to: 'open', cause: 'built' },
    close: { from: ['open', 'ajar'], to: 'closed', cause: 'pushed' },
    burn: { from: ['closed'], to: null, cause: 'fire' },
  } as const,
});

it('an UPDATE asks for the states that its move starts from, and writes the one that it ends in', () => {
  expect(door.update('close', { set: 'pushes = ?', where: 'id = ?' })).toBe(
    "UPDATE doors SET pushes = ?, doors.state = 'closed' WHERE id = ? AND doors.state IN ('open','ajar')",
  );
});

it('an assignment keeps the state of a row that the move does not start from', () => {
  expect(door.assign('close')).toBe("doors.state = IF(TRUE AND doors.state IN ('open','ajar'), 'closed', doors.state)");
});

it('a DELETE asks for the states that its move starts from', () => {
  expect(door.remove('burn', 'id = ?')).toBe("DELETE FROM doors WHERE id = ? AND doors.state IN ('closed')");
});

it('a move that is not listed, or that is not of the kind of the statement, does not compile', () => {
  // @ts-expect-error -- there is no such move
  expect(() => door.update('slam', { set: 'pushes = ?', where: 'id = ?' })).toThrow(TypeError);
  // @ts-expect-error -- the move creates the row
  expect(door.update('build', { set: 'pushes = ?', where: 'id = ?' })).toContain('IN ()');
  // @ts-expect-error -- the move does not delete the row
  expect(door.remove('close', 'id = ?')).toContain('DELETE');
});
