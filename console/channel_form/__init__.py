"""/channel/add and /channel/edit: the form of one channel, drawn from the table of its type."""
