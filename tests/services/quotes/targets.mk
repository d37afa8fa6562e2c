# Part of the Makefile: what is measured and checked of stored quotes.

# Options of `make history`, such as --minutes 5.
HISTORY ?=
.PHONY: history bench-store

history: setup ## make a million calls while servers and PostgreSQL fail, and check all answers; twenty minutes
	.venv/bin/python -m tests.services.quotes.history $(HISTORY)

bench-store: .venv/.bench ## measure GetQuote from PostgreSQL beside a plain psycopg loop; a minute
	.venv/bin/python -m tests.services.quotes.speed $(BENCH)

release-check: history
