# Roster. `make` alone lists what there is.

# Tests, lints and benchmarks build outside the clone, so that they share nothing with a plain `cargo run`.
test decisions lifecycles races bench clippy: export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roster/target

.DEFAULT_GOAL := help
.PHONY: help run test lint format clippy proto decisions lifecycles races bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

proto: ## buf lint; and, once there is a release, no breaking change since it
	cd proto && ../dev/buf lint
	@tag=$$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); \
	if [ -z "$$tag" ]; then \
		echo "buf breaking: no release tag yet, nothing to compare with"; \
	else \
		set -e; old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
		echo "buf breaking: against $$tag"; \
		git archive "$$tag" proto | tar -x -C "$$old"; \
		cd proto && ../dev/buf breaking --against "$$old/proto"; \
	fi

decisions: ## a million random decisions against the reference model
	ROSTER_DECISIONS=1000000 dev/test --test suite decisions $(ARGS)

lifecycles: ## a hundred thousand random calls against the model of a membership's life
	ROSTER_LIFECYCLES=50000 dev/test --test suite lifecycles $(ARGS)

races: ## a thousand rounds of every race, 64 callers in each
	ROSTER_RACES=1000 dev/test --test suite races:: $(ARGS)

bench: ## one table of figures, each against a reference of the same run; the engine alone comes first
	$(if $(ARGS),,cargo bench --bench engine)
	dev/with cargo bench $(or $(ARGS),--bench figures)
