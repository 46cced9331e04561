"""/log: what was called, what it cost, what failed. Users see their own lines, admins everybody's."""
