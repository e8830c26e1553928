# A thin cover of tools/run.py, which works without make too: `python tools/run.py app`.
# Another Python: `make app PYTHON=python3.12`. More options: `make test ARGS="-k labels"`.

PYTHON ?= python3

.PHONY: help app demo test lint format bundle constraints

help:
	@echo "make app          open the desktop app on the shipped model"
	@echo "make demo         train, convert and classify in the terminal"
	@echo "make test         run all tests"
	@echo "make lint         check style and types"
	@echo "make format       put code into the project's form"
	@echo "make bundle       make a folder of the app that runs without Python"
	@echo "make constraints  write the exact versions of all packages anew"

app demo test lint format bundle:
	@$(PYTHON) tools/run.py $@ $(ARGS)

constraints:
	@$(PYTHON) tools/constraints.py $(ARGS)
