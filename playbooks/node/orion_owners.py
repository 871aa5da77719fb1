# -*- coding: utf-8 -*-
"""Which numbers own files on this machine, as the last walk over its file systems found them. An account must not get one of them: it could read those files,
and its wipe would remove them. A walk takes minutes, so the account's program reads what the last one wrote: sorted ranges, a line each."""
import os
import time

from orion_node import MIN_UID, STATE, read_text, write_file

FILE = STATE + '/owners'
# Beyond this the nearest ranges are joined: a number too many may count as taken, never one too few.
MOST = 2000
FRESH_SECONDS = 86400


def read_owners():
    """[(first, last)] in their order; none where no walk has been made yet."""
    return [(int(first), int(last)) for first, _, last in (line.partition(' ') for line in read_text(FILE).splitlines())]


def write_owners(numbers):
    write_file(FILE, ''.join('%d %d\n' % each for each in ranges_of(numbers)), 0o600)


def are_fresh():
    try:
        return abs(time.time() - os.stat(FILE).st_mtime) < FRESH_SECONDS
    except FileNotFoundError:
        return False


def ranges_of(numbers):
    """[(first, last)] of those that an account could get."""
    ranges = []
    for number in sorted(number for number in numbers if number >= MIN_UID):
        if ranges and number <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    if len(ranges) <= MOST:
        return ranges
    gaps = sorted(later[0] - earlier[1] for earlier, later in zip(ranges, ranges[1:]))
    widest = gaps[len(ranges) - MOST - 1]
    joined = ranges[:1]
    for first, last in ranges[1:]:
        if first - joined[-1][1] <= widest:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined
