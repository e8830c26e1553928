"""Where a bundle begins: with the app, or as the child process that tries a model file for it."""

import sys

from eurosat import probe

if sys.argv[1:2] == [probe.CHILD_OPTION]:
    probe.main()
else:
    from eurosat.gui.__main__ import main

    sys.exit(main())
