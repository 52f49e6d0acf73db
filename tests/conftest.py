"""What all tests share."""

import os
import signal

from hypothesis import settings

# No deadline: a shared or slow machine must not fail a property.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# A shell's background job ignores Ctrl-C, and so would the commands that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Workers of several threads each, side by side on few cores, spend their time waiting for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
