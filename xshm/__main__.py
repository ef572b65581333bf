"""`python -m xshm` is the command `xshm`."""

import sys

from xshm.cli.main import main

sys.exit(main())
