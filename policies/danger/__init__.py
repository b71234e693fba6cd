"""What is harmful in a shell command, in packs of rules. Rules judge values; nothing is run."""
