"""Where a bundle begins: with the app, or as the child process that tries a model file for it."""

import sys
from multiprocessing import freeze_support

from eurosat import probe

freeze_support()  # Or as the process that maps a scene.
if sys.argv[1:2] == [probe.CHILD_OPTION]:
    probe.main()
else:
    from eurosat.gui.__main__ import main

    sys.exit(main())
