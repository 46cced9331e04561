"""One module a table. Each reads the source and what is here (`plan`), then writes in batches (`write`).

Rows keep their ids. A row that is here already is recognised by its id and its natural key and is never written again,
so that an import may be run twice, or once more after it was cut off.
"""
