"""A shell command, understood as far as it can be without running it. Text in, values out; nothing here does I/O."""
