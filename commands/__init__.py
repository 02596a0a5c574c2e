"""The commands of ``trialkb``, one module a subject; each offers ``COMMANDS``, a tuple of click commands.

A command is also a line in the table of :mod:`cli`. It takes its shared options and prints its answer
through :mod:`commands.output`, raises the errors of its room or :class:`commands.output.CommandError`
for bad input, and its help ends with an example that the tests run.
"""
