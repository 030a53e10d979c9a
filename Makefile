# Two commands do everything: `make book` and `make test`. The rest is for working on the book.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2
export OMP_NUM_THREADS ?= 1

.PHONY: help install book serve live test labs grade experiments bench gpu phone lint format constraints clean

help:
	@echo "make book         install into $(VENV), execute and build the site, say where it is"
	@echo "make book SOLUTIONS=no   the same without the exercises' solutions, for a class"
	@echo "make serve        serve the built site on this machine"
	@echo "make test         run every test"
	@echo "make live         open chapters and labs in JupyterLab"
	@echo "make labs         regenerate labs/ and solutions/ from solutions/src/"
	@echo "make grade SUBMISSIONS=dir [LAB=lab01] [JOBS=2] [TIMEOUT=300] [TO=dir] [ROSTER=class.csv]"
	@echo "     [DEADLINE='2026-11-20 23:59'] [ACCEPT=a.ipynb] [HIDDEN=no] [OPTIONS=...]   grade a folder"
	@echo "make experiments  list the recorded experiments (run one: python -m experiments run NAME)"
	@echo "make bench        time the library against its peers and print the table"
	@echo "make gpu          measure the library on a CUDA device (about six minutes)"
	@echo "make phone        what the built pages weigh, and how long a slow phone waits for them"
	@echo "make lint         check style; make format repairs it"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another with make PYTHON=python3.12.")'
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[book,labs,dev]'
	@touch $@

install: $(STAMP)

book: $(STAMP)
	$(if $(SOLUTIONS),FRUGAL_SOLUTIONS=$(SOLUTIONS)) $(BIN)/python -m booktools build

serve: $(STAMP)
	$(BIN)/python -m booktools serve

live: $(STAMP)
	$(BIN)/jupytext-config set-default-viewer markdown
	$(BIN)/jupyter lab --notebook-dir=.

test: $(STAMP)
	$(BIN)/python -m booktools build
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

labs: $(STAMP)
	$(BIN)/python -m labtools build

# Said before anything is installed.
ifneq ($(filter grade,$(MAKECMDGOALS)),)
ifeq ($(SUBMISSIONS),)
$(error Name the folder of submitted notebooks: make grade SUBMISSIONS=dir)
endif
endif

# What is named on make's command line is in the shell's environment: a name may hold spaces.
grade: $(STAMP)
	$(BIN)/python -m labtools grade "$$SUBMISSIONS" --jobs $(JOBS) $(if $(LAB),--lab $(LAB)) \
		$(if $(TIMEOUT),--timeout $(TIMEOUT)) $(if $(TO),--to "$$TO") \
		$(if $(ROSTER),--roster "$$ROSTER") $(if $(DEADLINE),--deadline "$$DEADLINE") \
		$(if $(ACCEPT),--accept "$$ACCEPT") $(if $(filter no,$(HIDDEN)),--hide-hidden) $(OPTIONS)

experiments: $(STAMP)
	$(BIN)/python -m experiments list

bench: $(STAMP)
	$(BIN)/python -m experiments.bench

phone: $(STAMP)
	$(BIN)/python -m booktools phone

gpu: $(STAMP)
	$(BIN)/python -m experiments.gpu

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(STAMP)
	$(BIN)/python -m booktools constraints

clean:
	rm -rf _build .pytest_cache dist
