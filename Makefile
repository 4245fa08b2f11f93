# The one command set for people and for CI. Each target says what it does with `make help`.

.DEFAULT_GOAL := help
.PHONY: help setup demo test check e2e crash fuzz bench codegen oracles

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install once what the machine lacks; a second run changes nothing
	@scripts/setup all

demo: ## run the article's programs against a fresh server and show what they made
	@scripts/setup system
	@cargo xtask demo

test: ## everything that must hold before a change is accepted, with one summary
	@scripts/setup all
	@cargo xtask test

check: ## the quick part: format, lints, house rules, generated code
	@scripts/setup tools
	@cargo xtask test lints

e2e: ## the Python clients against the real binary
	@scripts/setup system client data
	@cargo xtask test e2e

crash: ## kill the server 1,000 times under load and compare what is left with what it promised
	@scripts/setup system
	@cargo build --package sightline
	@cargo run --quiet --package sightline-proof -- crash --iterations 1000

fuzz: ## feed the readers of untrusted bytes with made-up inputs, ten minutes each
	@scripts/setup system
	@cargo xtask fuzz --seconds 600

bench: ## measure start-up, memory, objects, listing and job overhead, beside other servers
	@scripts/setup system client bench
	@cargo build --release --package sightline
	@SIGHTLINE_BIN=$(CURDIR)/target/release/sightline cargo xtask bench

codegen: ## regenerate wire types and support tables from models/
	@cargo xtask codegen

oracles: ## recompute expected values with the reference tools
	@scripts/setup system
	@scripts/oracles
