"""``python -m hopchain_etl.demo [demo|up|down|clean]``, which the Makefile calls."""

import sys

from hopchain_etl.demo.demo import clean, down, main, up

{"demo": main, "up": up, "down": down, "clean": clean}[sys.argv[1] if sys.argv[1:] else "demo"]()
