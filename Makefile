# Tenderline. `make` alone lists what there is. Needed: Go, GNU make and bash; nothing else.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

# Where `make run` keeps its state, and how far it moves all its ports.
DATA   ?= .tenderline
OFFSET ?= 0
# The ERP that the samples of `make run` and `make demo` are booked in: syspro, sagepro, or all for both in one deployment.
ERP    ?= syspro
# More arguments for the program (run, demo) and for `go test` (test, test-short), e.g. TESTFLAGS=-v.
ARGS      ?=
TESTFLAGS ?=
BENCH     ?= .
BENCHTIME ?= 1s
BENCHFLAGS ?=

# Tools, pinned; Go builds them once and keeps them in its cache.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
WORKFLOWCHECK := go run go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.8.0

# Directories whose packages are tested with the race detector: they share state between goroutines. The others are pure
# functions, or workflow code, which the SDK runs one coroutine at a time.
RACE := internal sandbox starter webhook worker
# SQLite's translation to Go converts pointers at every step; that these are right is not ours to watch.
RACE_FLAGS := -race -gcflags=modernc.org/sqlite/lib=-d=checkptr=0
# Of packages whose tests play whole systems, down to the database, the race detector watches those that race on purpose: all of them would
# take it minutes.
WHOLE  := activities internal/erp/sagepro internal/erp/syspro internal/journal sandbox/sagepro
RACING := Racing|AtOnce|SQLiteWriters|OnPostgres|ConformanceWithToken|ClerksTogether|TwoClientsWait

DEV := bin/tenderline-dev

.PHONY: help run demo test test-root test-dev test-short bench lint lint-go lint-modules lint-workflows lint-vulnerabilities build dev-build clean

help: ## list the targets
	@printf 'Tenderline: make TARGET\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n  make run OFFSET=100    moves every port by 100; DATA=dir keeps the state elsewhere\n'
	@printf '  make demo ERP=sagepro  books the samples in Sage Pro instead of SYSPRO, ERP=all in both; so does make run\n'
	@printf '  The first build compiles a Temporal server, which takes some minutes; later ones take seconds.\n'

run: dev-build ## the whole stack with sample orders in one process; stays up (Ctrl-C ends it)
	@exec $(DEV) --data '$(abspath $(DATA))' --port-offset $(OFFSET) --erp '$(ERP)' $(ARGS)

demo: dev-build ## the sample orders on fresh state; fails if one did not end as expected
	@data=$$(mktemp -d); trap 'rm -rf "$$data"' EXIT; \
	$(DEV) --demo --data "$$data" --port-offset $(OFFSET) --erp '$(ERP)' $(ARGS)

test: ## all tests: unit, race detector, SQLite, PostgreSQL, end to end on an embedded Temporal server
	@$(MAKE) test-root
	@$(MAKE) test-dev
	@scripts/test-odbc $(TESTFLAGS)
	@go run ./internal/pgtest/note

test-root:
	@race=(); plain=(); \
	for package in $$(go list ./...); do \
	  path=$${package#github.com/tenderline/tenderline}; path=$${path#/}; \
	  case ' $(WHOLE) ' in *" $$path "*) plain+=("$$package"); continue;; esac; \
	  case ' $(RACE) ' in *" $${path%%/*} "*) race+=("$$package");; *) plain+=("$$package");; esac; \
	done; \
	flag=($(RACE_FLAGS)); \
	if [ "$$(go env CGO_ENABLED)" != 1 ]; then flag=(); echo 'No C compiler: the tests run without the race detector.'; fi; \
	if [ $${#race[@]} -gt 0 ]; then go test "$${flag[@]}" -timeout 10m $(TESTFLAGS) "$${race[@]}"; fi; \
	go test "$${flag[@]}" -timeout 10m $(TESTFLAGS) -run '$(RACING)' $(addprefix ./,$(WHOLE)); \
	go test "$${flag[@]}" -timeout 10m $(TESTFLAGS) -run 'TestContract/postgres' ./internal/journal; \
	if [ $${#plain[@]} -gt 0 ]; then go test -timeout 10m $(TESTFLAGS) "$${plain[@]}"; fi

test-dev:
	@if [ ! -e $(DEV) ]; then $(MAKE) dev-notice; fi
	@go -C dev test -timeout 20m $(TESTFLAGS) ./...

test-short: ## what needs no server: seconds
	@go test -short -timeout 5m $(TESTFLAGS) ./...

bench: ## benchmarks, then orders beside no-op workflows (BENCH=regexp, BENCHTIME=5s, BENCHFLAGS=-h)
	@go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(TESTFLAGS) ./...
	@go -C dev run ./bench $(BENCHFLAGS)

lint: lint-modules lint-go lint-workflows lint-vulnerabilities ## formatting, linters, determinism, module rules, known vulnerabilities

lint-go:
	@go vet ./... && go -C dev vet ./...
	@$(GOLANGCI_LINT) run ./...
	@cd dev && $(GOLANGCI_LINT) run ./...

lint-modules:
	@scripts/check-modules

lint-workflows:
	@if [ -d workflows ]; then $(WORKFLOWCHECK) -config workflowcheck.config.yaml ./workflows/...; fi

lint-vulnerabilities:
	@scripts/check-vulnerabilities '$(GOVULNCHECK)'

build: ## bin/tenderline and bin/sandbox: static, stripped
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/tenderline .
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/sandbox ./sandbox

.PHONY: dev-notice
dev-notice:
	@echo 'Building with the Temporal server embedded. The first time this takes some minutes.'

dev-build:
	@if [ ! -e $(DEV) ]; then $(MAKE) dev-notice; fi
	@mkdir -p bin
	@go -C dev build -o ../$(DEV) .

clean: ## removes what was built and the state of `make run`
	rm -rf bin coverage.out .tenderline dev/.tenderline
