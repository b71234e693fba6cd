# One word each. Needs uv, and just itself: `uv tool install rust-just`.

# Run the tests; `just test tests/wire -k sse` runs some of them.
test *arguments:
    uv run pytest {{arguments}}

# Style and likely mistakes.
lint:
    uv run ruff check
    uv run ruff format --check

# Types, strictly.
types:
    uv run pyright

# Who may import whom.
floors:
    uv run lint-imports

# Write the generated pages of docs/ anew.
docs:
    uv run python docs/generate.py

# Take the pictures of the console in docs/pictures anew; needs Chromium.
pictures:
    uv run python docs/pictures.py

# Measure Lockgate beside plain mitmdump.
bench *arguments:
    uv run lockgate bench {{arguments}}

# Write exact versions into pyproject.toml and requirements.txt; `just requirements --upgrade` looks for newer ones.
requirements *arguments:
    uv run python deploy/requirements.py {{arguments}}

# All that must hold before a commit is good.
ci:
    .ci/run
