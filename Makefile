# The commands of this repository. `make` lists them.
PYTHON ?= python3
IMAGE ?= localhost/quoter:dev
# Another base image than the Dockerfile's.
PYTHON_IMAGE ?=
# More options of the build, such as --no-cache.
BUILD_OPTIONS ?=
# What the image is built for by `make image-push`.
PLATFORMS ?= linux/amd64,linux/arm64
PYTEST ?=
# Over four processes: most tests wait more than they work.
SPREAD := -n 4 --dist worksteal
BENCH ?=
DEMO ?=
# What `make attack` makes: a family, or a row of docs/under-attack.md; all when empty.
ATTACK ?=
# How many calls `make ledger` makes.
LEDGER ?= 100000
UV_VERSION := $(shell sed -n 's/^ARG UV_VERSION=//p' Dockerfile)
UV := .uv/bin/uv
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON := $(abspath .uv/bin/python)
export UV_PYTHON_DOWNLOADS := never

# The code of the protos.
GENERATED = $(subst -,_,$(patsubst protos/%.proto,app/gen/%_pb2.py,$(shell find protos -name '*.proto')))

# The supported versions of Python.
VERSIONS = $(shell sed -nE 's/.*Python :: (3\.[0-9]+)".*/\1/p' pyproject.toml)

# What services with a schema have for PostgreSQL.
MIGRATIONS = $(sort $(wildcard app/services/*/migrations/postgresql/*.sql))

# Image metadata depends only on the commit, so builds are reproducible.
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
CREATED = $(shell $(PYTHON) -c 'import datetime as d; print(d.datetime.fromtimestamp($(SOURCE_DATE_EPOCH), d.timezone.utc).strftime("%FT%TZ"))')
# Where the code is: the https address of `origin`, without a name or password in it; override with SOURCE=….
SOURCE ?= $(shell git remote get-url origin 2>/dev/null | sed -nE -e 's|^git@([^:]+):|https://\1/|' -e 's|^https://[^/@]*@|https://|' -e '/^https:/p')
# As labels, and not as arguments of the build: podman would take those of an earlier commit from its cache.
LABELS = $(foreach label,version=$(VERSION) revision=$(REVISION) created=$(CREATED) source=$(SOURCE),--label org.opencontainers.image.$(label))
SBOM ?= dist/quoter-$(VERSION).cdx.json
CONTAINERS ?= $(shell command -v podman || command -v docker || echo podman)
COMPOSE ?= $(CONTAINERS) compose --file deploy/compose.yaml

GO := GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false" $(CURDIR)/.venv/bin/go build -trimpath

.DEFAULT_GOAL := help
.PHONY: help setup run demo run-faulty migrated stack stack-down test test-fast test-copies stock interop monitoring tracing ledger page chart lint workflows gen service remove image image-archive image-push image-test package sbom pin e2e e2e-full bench overload overload-store attack attack-check soak release tag publish pythons release-check clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/.locked $(GENERATED) ## install the development environment into .venv, from the lock file

run: migrated ## serve all services on localhost:50051, with metrics on localhost:9464, and a database in .data/
	@.venv/bin/python -m app serve

run-faulty: migrated ## serve as `make run` does, with faults that `python -m deploy.faults faults` switches on; docs/faults.md
	@.venv/bin/python -m deploy.faults serve

# For services that store. APP_DATABASE_URL or APP_DATABASE_URL_FILE is another database; `APP_DATABASE_URL=` none.
run run-faulty: export APP_DATABASE_URL ?= $(if $(MIGRATIONS),$(if $(APP_DATABASE_URL_FILE),,sqlite:///.data/development.db))

migrated: setup
	@mkdir -p .data
	@[ -z "$$APP_DATABASE_URL$$APP_DATABASE_URL_FILE" ] || .venv/bin/python -m app migrate

stack: image ## serve with a collector, Jaeger, Prometheus, Grafana and load, in containers; docs/stack.md
	IMAGE=$(IMAGE) $(COMPOSE) up --detach
	@printf '%s\n' '' 'Grafana     http://localhost:3000/dashboards' 'Prometheus  http://localhost:9090/alerts' \
	  'Jaeger      http://localhost:16686' 'servers     localhost:50051 and localhost:50052' \
	  'status      http://localhost:9464 and http://localhost:9465'

stack-down: ## stop what `make stack` has started, and delete its data
	IMAGE=$(IMAGE) $(COMPOSE) down --volumes

demo: setup ## watch servers while one fault after another is on; a minute and a half: make demo DEMO="--seconds 20"
	@.venv/bin/python -m deploy.demo $(DEMO)

test: setup ## run the unit, integration, service and documentation tests
	.venv/bin/python -m pytest $(SPREAD) -m "not release and not copy and not alone" $(PYTEST)
	@# Exit status 5: PYTEST selects no such test.
	.venv/bin/python -m pytest -m alone $(PYTEST) || [ $$? -eq 5 ]

test-fast: setup ## run the tests that are not marked slow
	.venv/bin/python -m pytest $(SPREAD) -m "not release and not copy and not slow" $(PYTEST)

test-copies: setup ## run the tests of make service, make remove and docs/add-a-service.md, in copies of this checkout
	.venv/bin/python -m pytest -m copy -n 2 $(PYTEST)

stock: setup ## check the rows of docs/outcomes.md about the usual stack of interceptors
	.venv/bin/python -m pytest tests/stock $(PYTEST)

interop: .venv/.bench ## run gRPC's interop cases with grpc-go's client, through the whole chain
	.venv/bin/python -m pytest tests/interop $(PYTEST)

monitoring: .venv/.monitoring ## evaluate the rules of deploy/, and the queries of its dashboards on a server under load
	.venv/bin/python -m pytest tests/monitoring -n 2 --dist loadgroup $(PYTEST)

tracing: .venv/.tracing .venv/.monitoring ## send spans to a collector and Jaeger, and stop the collector; join the records of calls
	.venv/bin/python -m pytest tests/tracing -n 2 --dist worksteal $(PYTEST)

ledger: .venv/.tracing ## make calls that end in every way, and join the records of clients, metrics, log and spans
	.venv/bin/python -m tests.tracing.ledger $(LEDGER)

page: .venv/.page ## open the status page in Chromium, and check its figures, texts, contrast and keyboard
	.venv/bin/python -m pytest tests/page -n 2 --dist worksteal $(PYTEST)

chart: .venv/.chart ## check the chart: rendered output, golden files, Kubernetes schemas, kube-score
	.venv/bin/helm lint --strict helm/quoter
	.venv/bin/python -m pytest tests/chart $(wildcard tests/services/*/chart) $(PYTEST)

lint: setup ## check style, types, protos, Dockerfile and shell scripts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m protos.lint
	.venv/bin/hadolint Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	.venv/bin/shellcheck .ci/* $(wildcard tests/services/*/slow-check)
	$(if $(MIGRATIONS),.venv/bin/squawk $(MIGRATIONS))

workflows: .venv/.actionlint .venv/.kind ## check the files of GitHub, GitLab, Renovate, kind and the dev container
	.venv/bin/actionlint -shellcheck .venv/bin/shellcheck -pyflakes ""
	.venv/bin/zizmor --offline --quiet --persona pedantic .github/workflows
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows $(wildcard .github/workflows/*.yml)
	.venv/bin/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	.venv/bin/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.renovate renovate.json
	.venv/bin/python -m pytest tests/workflows $(PYTEST)

gen: setup ## generate the code of all protos, the tables of settings, rules, dashboards, and the chart's schema and table
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python protos/generate.py
	@.venv/bin/python docs/generate.py && .venv/bin/python helm/generate.py && \
	  .venv/bin/python -m deploy.monitoring || { \
	  echo "gen: generated the code of the protos; the rest failed as above. If a service cannot be imported," \
	    "edit its handlers and rules for its new proto, and run make gen again." >&2; exit 1; }

service: setup ## write a new service: make service NAME=Inventory PACKAGE=acme.inventory.v1; with STORE=yes, one with a database
	@.venv/bin/python -m deploy.service "$(NAME)" "$(PACKAGE)" "$(STORE)"

remove: setup ## remove a service, by the name of its folder: make remove SERVICE=NAME
	@.venv/bin/python -m deploy.remove "$(SERVICE)" $(if $(FORCE),--force)

image: ## build the container image, with podman or docker: make image IMAGE=…
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(CONTAINERS) build $(if $(findstring podman,$(CONTAINERS)),--timestamp $(SOURCE_DATE_EPOCH)) \
	  $(BUILD_OPTIONS) $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) $(LABELS) -t $(IMAGE) .

image-archive: image ## build the image and write it to dist/image.tar, which kind and minikube load
	@mkdir -p dist
	@rm -f dist/image.tar
	$(CONTAINERS) save --output dist/image.tar $(IMAGE)

image-push: ## build the image for PLATFORMS with docker buildx, and push it without a tag: make image-push IMAGE=ghcr.io/me/name
	@mkdir -p dist
	@rm -f dist/image.json dist/image.digest
	$(MAKE) image CONTAINERS="docker buildx" BUILD_OPTIONS="--platform $(PLATFORMS) --provenance mode=max \
	  --output type=image,push=true,push-by-digest=true,name-canonical=true,rewrite-timestamp=true \
	  --metadata-file dist/image.json $(BUILD_OPTIONS)"
	@$(PYTHON) -c 'import json; print(json.load(open("dist/image.json"))["containerimage.digest"])' >dist/image.digest
	@cat dist/image.digest

package: .venv/.helm ## package the chart in dist/ with a pushed image as its default: make package IMAGE=ghcr.io/me/name
	@mkdir -p dist
	@.venv/bin/python -m deploy.package "$(IMAGE)"

image-test: setup ## build the image twice; check its content, its start, and that both builds are equal (podman)
	.venv/bin/python -m pytest tests/image -s $(PYTEST)

sbom: $(UV) ## write the packages of the image, with versions and hashes, as CycloneDX: make sbom SBOM=…
	@mkdir -p $(dir $(SBOM))
	$(UV) export --quiet --locked --no-dev --extra postgres --format cyclonedx1.5 --preview-features sbom-export -o $(SBOM) >/dev/null

pin: ## pin the base images of the Dockerfile by their digests, and the actions of the workflows by their commits
	@$(PYTHON) deploy/pin.py Dockerfile
	@$(PYTHON) -m deploy.pin_actions $(sort $(wildcard .github/workflows/*.yml))

e2e: .venv/.ghz .venv/.kind .venv/.monitoring .venv/.tracing ## run the end-to-end tests on the cluster of KUBECONFIG, a test cluster beside this checkout, or a new one of kind
	IMAGE=$(IMAGE) .venv/bin/python -m pytest tests/e2e $(wildcard tests/*/e2e tests/services/*/e2e) -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST)

e2e-full: ## run the end-to-end tests with ten updates and ten deletions instead of three
	$(MAKE) e2e PYTEST="--times 10 $(PYTEST)"

bench: .venv/.bench ## measure what a call costs, beside other servers; nine minutes on a quiet machine
	.venv/bin/python -m tests.bench $(BENCH)

overload: .venv/.bench ## measure goodput and latency at five times the capacity of a server; a minute
	.venv/bin/python -m tests.bench.overload $(BENCH)

overload-store: .venv/.bench ## measure goodput and latency at five times what the database can carry; a minute
	.venv/bin/python -m tests.bench.overload_store $(BENCH)

attack: setup ## attack this server and a bare one, beside an honest client: make attack ATTACK=floods; half an hour for all
	.venv/bin/python -m tests.attack $(ATTACK)

attack-check: setup ## make the attacks in short, and check their bounds; three minutes
	.venv/bin/python -m pytest -m "not long" tests/attack $(PYTEST)

soak: .venv/.bench ## make more than two million calls and check that memory does not grow; twenty minutes
	.venv/bin/python -m tests.bench.soak $(BENCH)

release: setup ## set the version everywhere, and print how to commit and tag it: make release VERSION=0.2.0
	@.venv/bin/python -m deploy.release "$(VERSION)"

tag: ## print the tag of this version
	@echo quoter-$(VERSION)

# Targets of single services.
include $(wildcard tests/services/*/targets.mk)

publish: .venv/.helm ## publish image and chart of this version, signed by digest; for CI: make publish IMAGE=ghcr.io/me/name
	bash .ci/publish "$(IMAGE)"
# template only

.PHONY: template test-fork pictures

e2e: .venv/.template

template: setup ## derive the template of the last commit into a git repository: make template OUT=../template
	@.venv/bin/python -m deploy.template "$(OUT)"

test-fork: .venv/.template .venv/.helm ## derive the template, make forks of it by copier and cookiecutter, and check them
	.venv/bin/python -m pytest -m "not alone" -n 2 --dist loadfile tests/template $(PYTEST)
	.venv/bin/python -m pytest -m alone tests/template $(PYTEST) || [ $$? -eq 5 ]

pictures: .venv/.page ## take the pictures of the README from a server under load; two minutes
	.venv/bin/python -m tests.page.pictures
	.venv/bin/python -m deploy.demo.picture docs/pictures/top.svg

.venv/.template: .venv/.locked
	$(UV) sync --locked --quiet --inexact --group template
	@touch $@
# /template only

pythons: setup ## run the tests on every other supported version of Python; a quarter of an hour
	bash .ci/pythons $(filter-out $(shell .venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'),$(VERSIONS))

release-check: pythons ## run the checks that are too slow for `make test`; an hour
	.venv/bin/python -m pytest -m "release or copy" -n 2 $(PYTEST)
	$(MAKE) ledger

clean: ## remove what make installed here
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist node_modules

.venv/.locked: pyproject.toml uv.lock $(UV)
	$(UV) sync --locked --quiet
	@touch $@

# Where there is none, as in a new fork; `make gen` writes all of it.
$(GENERATED): | .venv/.locked
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python protos/generate.py

# Each adds its group, and leaves those of the others.
.venv/.bench: .venv/.locked
	$(UV) sync --locked --quiet --inexact --group bench
	@touch $@

.venv/.page: .venv/.locked
	$(UV) sync --locked --quiet --inexact --group page
	@touch $@

# Built from the Go modules of go.sum. It takes four minutes where nothing is cached, two of them for helm.
.venv/.chart: .venv/.helm $(wildcard tests/chart/*/go.sum) tests/chart/custom/main.go
	$(UV) sync --locked --quiet --inexact --group bench --group chart
	cd tests/chart/score && $(GO) -o $(CURDIR)/.venv/bin/kube-score github.com/zegl/kube-score/cmd/kube-score
	cd tests/chart/custom && $(GO) -o $(CURDIR)/.venv/bin/custom-resources .
	@touch $@

.venv/.helm: .venv/.bench $(wildcard tests/chart/helm/go.*)
	cd tests/chart/helm && $(GO) -o $(CURDIR)/.venv/bin/helm helm.sh/helm/v3/cmd/helm
	@touch $@

.venv/.actionlint: .venv/.bench $(wildcard tests/workflows/actionlint/go.*)
	cd tests/workflows/actionlint && $(GO) -o $(CURDIR)/.venv/bin/actionlint github.com/rhysd/actionlint/cmd/actionlint
	@touch $@

.venv/.kind: .venv/.bench $(wildcard tests/e2e/kind/go.*)
	cd tests/e2e/kind && CGO_ENABLED=0 $(GO) -o $(CURDIR)/.venv/bin/kind sigs.k8s.io/kind
	@touch $@

# Without the discovery of clouds, which would be most of the program. It takes minutes where nothing is cached.
.venv/.monitoring: .venv/.bench $(wildcard tests/monitoring/prometheus/go.*)
	cd tests/monitoring/prometheus && $(GO) -tags remove_all_sd -o $(CURDIR)/.venv/bin/ \
	  github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool
	@touch $@

# The collector and Jaeger, static, to run in images. They take three minutes where nothing is cached.
.venv/.tracing: .venv/.bench $(wildcard tests/tracing/programs/*)
	cd tests/tracing/programs && CGO_ENABLED=0 $(GO) -ldflags "-s -w" -o $(CURDIR)/.venv/bin/otelcol .
	cd tests/tracing/programs && CGO_ENABLED=0 $(GO) -ldflags "-s -w" -o $(CURDIR)/.venv/bin/jaeger \
	  github.com/jaegertracing/jaeger/cmd/all-in-one
	@touch $@

# Static, to run in the image.
.venv/.ghz: .venv/.bench $(wildcard tests/e2e/ghz/go.*)
	cd tests/e2e/ghz && CGO_ENABLED=0 $(GO) -ldflags "-s -w" -o $(CURDIR)/.venv/bin/ghz github.com/bojand/ghz/cmd/ghz
	@touch $@

$(UV): Makefile Dockerfile
	@$(PYTHON) deploy/python_version.py
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
