"""`python -m xshm` is the command `xshm`."""

import sys

from xshm.cli import main

sys.exit(main())
