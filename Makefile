# Everything is kept in .cache and bin, both ignored by git.
CACHE ?= $(CURDIR)/.cache
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
MCP_VERSION := 2026.8.31
NPM_PACKAGES := \
	@modelcontextprotocol/server-everything@$(MCP_VERSION) \
	@modelcontextprotocol/server-filesystem@$(MCP_VERSION) \
	@modelcontextprotocol/server-memory@$(MCP_VERSION) \
	@modelcontextprotocol/inspector@2.12.0

# Tests over MCP servers that we did not write find them here. Without npm they are skipped, and `make test` says so;
# RUNPLANE_REQUIRE_NPM=1 makes that a failure.
export RUNPLANE_NPM ?= $(CACHE)/npm/node_modules
# The race detector needs a C compiler.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)
PACKAGES ?= ./... ./testdata/proxy
FUZZTIME ?= 60s
ROUNDS ?= 300
CHAOS ?= long
SOAK ?= 10m
DAMAGE ?= 1000
HOSTILE ?= 10000

.PHONY: damage hostile scorecard soak build test npm lint fmt vet generate fuzz bench smoke kill chaos scale cross vuln tools
.DEFAULT_GOAL := build

build: ## bin/runplane
	go build -o bin/ ./cmd/runplane

test: npm ## every test; what README promises and .ci/run runs
	@[ -n "$(RACE)" ] || echo "make test: no C compiler, so the race detector is off"
	@if [ -e "$(RUNPLANE_NPM)/.runplane" ]; then export RUNPLANE_REQUIRE_NPM=1; fi; \
	if command -v redis-server >/dev/null; then export RUNPLANE_REQUIRE_REDIS=1; else echo "make test: no redis-server, so tests of the shared store are skipped"; fi; \
	set -x; go test $(RACE) -timeout 15m $(PACKAGES)

npm: ## the pinned npm packages that tests use
	@.ci/npm "$(RUNPLANE_NPM)" $(NPM_PACKAGES)

lint: $(CACHE)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
	$< run --allow-serial-runners

fmt:
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

vet: ## testdata is not in ./..., but its programs are ours
	go vet ./...
	go vet ./testdata/proxy ./testdata/servers/...

generate: ## golden files, published schemas, README tables
	go generate ./...

fuzz: ## each fuzz test for FUZZTIME
	@set -e; for p in $$(go list $(PACKAGES)); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; done; done

bench: ## the numbers; compare only within one run on one machine
	go test -run '^$$' -bench . -benchmem -timeout 60m $(PACKAGES)

smoke: ## each benchmark once, so that none rots
	go test -short -run '^$$' -bench . -benchtime 1x -timeout 10m $(PACKAGES)

scorecard: ## fourteen faults against the built program, with a table
	RUNPLANE_SCORECARD=full go test -run '^TestScorecard$$' -count 1 -timeout 10m -v ./cmd/runplane

soak: ## load for SOAK while realms die, hang, flap, flood and lie; nothing may leak, be lost or happen twice. SOAK_HOSTILE=1: clients too
	RUNPLANE_SOAK=$(SOAK) RUNPLANE_SOAK_HOSTILE=$(SOAK_HOSTILE) go test -run '^TestSoak$$' -count 1 -timeout 90m -v ./cmd/runplane

hostile: ## HOSTILE plans that are made to kill, hang or poison the program, in 512 MiB, with SIGKILL in between
	RUNPLANE_HOSTILE=$(HOSTILE) go test -run '^TestHostile$$' -count 1 -timeout 180m -v ./cmd/runplane

kill: ## SIGKILL at random points, ROUNDS times
	RUNPLANE_KILL_ROUNDS=$(ROUNDS) go test -run Kill -count 1 -timeout 60m -v ./cmd/runplane

chaos: ## three replicas on one Redis while everything breaks; CHAOS=short takes two minutes
	RUNPLANE_REQUIRE_REDIS=1 RUNPLANE_CHAOS=$(CHAOS) go test -run Chaos -count 1 -timeout 90m -v ./cmd/runplane

damage: ## DAMAGE random damages of a store file: no panic, and nothing but what was written is given out
	RUNPLANE_DAMAGE=$(DAMAGE) go test -run '^TestDamaged' -count 1 -timeout 60m -v ./store/bolt

scale: ## what 100,000 executions cost that sleep, on both stores, and how long a start takes with 10,000 open ones
	RUNPLANE_REQUIRE_REDIS=1 RUNPLANE_SCALE=full go test -run '^TestScale$$' -count 1 -timeout 30m -v ./cmd/runplane

cross: ## what we cannot test here must at least compile
	GOOS=darwin GOARCH=arm64 go build ./...
	GOOS=windows GOARCH=amd64 go build ./...

vuln: $(CACHE)/bin/govulncheck-$(GOVULNCHECK_VERSION)
	$< ./...

tools: $(CACHE)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION) $(CACHE)/bin/govulncheck-$(GOVULNCHECK_VERSION) ## build the pinned tools

# One that is installed in this version serves; else it is built from source once.
$(CACHE)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION):
	@mkdir -p $(@D)
	@have=$$(command -v golangci-lint); \
	if [ -n "$$have" ] && "$$have" version 2>/dev/null | grep -qF "version $(GOLANGCI_LINT_VERSION:v%=%) "; then ln -sf "$$have" $@; \
	else GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) && mv $(@D)/golangci-lint $@; fi

$(CACHE)/bin/govulncheck-$(GOVULNCHECK_VERSION):
	@mkdir -p $(@D)
	GOBIN=$(@D) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) && mv $(@D)/govulncheck $@
