"""Decode functions that misbehave on a marker, for the tests of decode_pool: what real decoders do on bad days."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

from hopchain_etl.imaging.normalise import NormalisedImage
from hopchain_etl.imaging.rejection import Limits


def moody(data: bytes, limits: Limits) -> NormalisedImage:
    """Do what the bytes ask for; return them otherwise, with this process's id as the width."""
    order, _, argument = data.partition(b":")
    match order:
        case b"segfault":
            ctypes.string_at(0)
        case b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"exit":
            os._exit(3)
        case b"sleep":
            time.sleep(float(argument))
        case b"allocate":
            bytearray(int(argument))
        case b"bug":
            raise ZeroDivisionError("a bug of ours")
        case b"print":
            os.write(1, b"noise\n" * 50_000)
            os.write(2, b"noise\n" * 50_000)
        case b"once":  # dies the first time only
            seen = Path(argument.decode())
            if not seen.exists():
                seen.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case b"change":
            data = argument
    return NormalisedImage(data, os.getpid(), limits.min_side, "PNG", "0" * 16)
