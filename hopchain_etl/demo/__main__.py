"""``python -m hopchain_etl.demo [demo|up|clean]``, which the Makefile calls."""

import sys

from hopchain_etl.demo.demo import down, main, up

{"demo": main, "up": up, "clean": down}[sys.argv[1] if sys.argv[1:] else "demo"]()
