# Every target is a go command or a script in ci/; `make help` lists them.

BENCH     ?= .
BENCHTIME ?= 1s
COUNT     ?= 1
PKG       ?= ./...

.DEFAULT_GOAL := help
.PHONY: build test race lint format generate verify bench bench-peers fuzz examples soak repeat demo vuln ci help

build: ## Build everything, and the binary into bin/
	go build ./...
	go build -o bin/ ./cmd/...

test: ## Test on all stores; PKG=./store/... narrows it
	ci/test.sh $(PKG)

race: ## Test, insisting on the race detector
	RACE=on ci/test.sh $(PKG)

lint: ## Lint
	ci/golangci-lint.sh run $(PKG)

format: ## Format
	ci/golangci-lint.sh fmt

generate: ## Generate what is generated
	go generate ./...

verify: ## Check everything that needs no test run
	ci/run.sh format generate tidy vet lint build

bench: ## Measure on durable servers; BENCH, BENCHTIME, COUNT and PKG choose what
	ci/servers.sh --durable go test -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -count=$(COUNT) -benchmem $(PKG)

bench-peers: ## Measure beside other job queues, five rounds in turns: a quarter of an hour; ARGS='-repeat 1' is shorter
	ci/servers.sh --durable --redis sh -c 'cd bench/peers && go run . $(ARGS)'

fuzz: ## Fuzz every target for FUZZTIME, 20s by default
	ci/fuzz.sh

examples: ## Build and run the examples
	ci/examples.sh

soak: ## The long forms of the tests: kills, restarts, ten million rows; half an hour
	ci/soak.sh

repeat: ## Repeat all tests for REPEAT seconds, an hour by default
	ci/repeat.sh

demo: ## Real work on embedded SQLite, with a worker killed in the middle
	go run ./cmd/flowfabric demo

vuln: ## Look for known vulnerabilities (needs the network)
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

ci: ## What the pipeline runs
	ci/run.sh

help: ## List the targets
	@sed -n 's/^\([a-z]*\): ## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'
