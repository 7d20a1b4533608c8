.PHONY: check
check:
	cargo fmt --check
	cargo test
