# Roster. `make` alone lists what there is.

# Tests, lints and benchmarks build outside the clone, so that they share nothing with a plain `cargo run`.
test catalogue decisions lifecycles races faults bench clippy: export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roster/target

.DEFAULT_GOAL := help
# The contract that `make proto` reads.
PROTO ?= proto

.PHONY: help run test lint format clippy proto release-contract catalogue decisions lifecycles races faults bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve on the embedded default (ARGS="--listen 127.0.0.1:7500")
	cargo run -- $(ARGS)

test: ## every test, on both engines and a real Kafka (ARGS="--test suite memberships")
	dev/test $(ARGS)

lint: format clippy proto ## everything that reads the code without running it

format: ## is everything as rustfmt writes it?
	cargo fmt --check

clippy: ## clippy without a warning: the service, and the client alone
	cargo clippy --all-targets -- -D warnings
	cargo clippy --no-default-features --features client -- -D warnings

proto: ## buf lint; and no breaking change since the last release, whose contract is proto/released.binpb
	cd $(PROTO) && $(CURDIR)/dev/buf lint
	cd $(PROTO) && $(CURDIR)/dev/buf breaking --against released.binpb

release-contract: ## a release: from now on the contract as it is must not be broken
	cd proto && ../dev/buf build --exclude-source-info -o released.binpb

catalogue: ## write the catalogue of events, docs/events.md
	ROSTER_CATALOGUE=write cargo test --test suite -- catalogue::is_complete

decisions: ## a million random decisions against the reference model
	ROSTER_DECISIONS=1000000 dev/test --test suite decisions $(ARGS)

lifecycles: ## a hundred thousand random calls against the model of a membership's life
	ROSTER_LIFECYCLES=50000 dev/test --test suite lifecycles $(ARGS)

races: ## a thousand rounds of every race, 64 callers in each
	ROSTER_RACES=1000 dev/test --test suite races:: $(ARGS)

faults: ## the faults at length: kills, crashes, brokers away, frozen leaders (ARGS="service zombie")
	dev/faults $(ARGS)

bench: ## one table of figures, each against a reference of the same run; the engine alone comes first
	$(if $(ARGS),,cargo bench --bench engine)
	dev/with cargo bench $(or $(ARGS),--bench figures)
