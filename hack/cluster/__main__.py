"""Entry point: `python3 hack/cluster VERB`. Standard library only, so that it runs before any virtualenv exists."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the user so
    sys.exit("hack/cluster needs Python 3.11 or newer; this is " + sys.version.split()[0])

from localcluster.cli import main

sys.exit(main())
