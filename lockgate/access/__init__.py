"""Who may speak: projects, their tokens, what these may reach, and the keys that stand behind them.

Values and rules only: `lockgate.storage` keeps them, `lockgate.addons` asks them.
"""
