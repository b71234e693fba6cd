"""The script for `mitmdump -s addons/control.py`, and for mitmweb and mitmproxy. It holds no state of its own.

mitmproxy puts this folder first on the import path: no file here is named like the package, a dependency or the
standard library. The configuration is LOCKGATE_CONFIG, ./lockgate.yaml or the user's own.
"""

from lockgate.app import script_addons

addons = script_addons()
