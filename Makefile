# Everything a developer of this project runs. "make" alone explains.

DATABASE_URL ?= sqlite:data/generations.db
export DATABASE_URL

# sqlc and staticcheck run as Go tools, pinned in tools/go.mod, so that nobody who imports the module gets their
# dependencies. dbmate needs a build tag for SQLite's full-text search, which go tool cannot pass, so it is built.
TOOL   := go tool -modfile=tools/go.mod
DBMATE := $(CURDIR)/.bin/dbmate

# The tests compare the store with dbmate's CLI where that has been built; a newcomer need not build it to run them.
WITH_DBMATE = DBMATE=$(wildcard $(DBMATE))

# The engine of DATABASE_URL chooses the migrations and the schema file.
ifneq ($(filter sqlite%,$(DATABASE_URL)),)
ENGINE := sqlite
SCHEMA := db/schema.sql
else
ENGINE := postgres
SCHEMA := db/schema.postgres.sql
endif
RUN_DBMATE = umask 077 && $(DBMATE) --migrations-dir db/migrations/$(ENGINE) --schema-file $(SCHEMA)

.DEFAULT_GOAL := help

.PHONY: help
help: ## explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  DATABASE_URL=$$(echo "$$DATABASE_URL" | sed 's,//[^@/]*@,//***@,')"

.PHONY: demo
demo: ## generate some forty pieces of music on DATABASE_URL and show what the store knows of them
	@go run ./examples/workflow

.PHONY: test
test: ## run the tests, on SQLite and on a PostgreSQL that they start themselves where it is installed
	$(WITH_DBMATE) go test ./...

.PHONY: test-race
test-race: ## run the tests under the race detector
	$(WITH_DBMATE) go test -race ./...

.PHONY: cover
cover: ## print the coverage of store and of storagedb's hand-written part
	$(WITH_DBMATE) go test -coverpkg=./store,./storagedb -coverprofile=coverage.out ./store ./storagedb
	@grep -vE '\.sql\.go:|storagedb/(db|models)\.go:' coverage.out > coverage.hand.out
	@for package in store storagedb; do \
		{ head -n 1 coverage.hand.out; grep "storage/$$package/" coverage.hand.out; } > coverage.package.out; \
		go tool cover -func=coverage.package.out | awk -v p=$$package '/^total:/ { print p ": " $$3 " of statements covered" }'; \
	done; rm coverage.hand.out coverage.package.out

.PHONY: fuzz
fuzz: ## look for metadata that breaks the reader, for a minute
	go test ./storagedb -run '^$$' -fuzz FuzzCanonical -fuzztime 60s -fuzzminimizetime 10x

.PHONY: bench
bench: ## measure the store beside the raw drivers
	cd bench && go test -run '^$$' -bench . -benchmem ./...

.PHONY: lint
lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted"; exit 1; fi
	go vet ./...
	cd bench && go vet ./...
	$(TOOL) staticcheck ./...

.PHONY: generate
generate: $(DBMATE) ## make the Go code from db/queries, and the schema dumps from db/migrations
	$(TOOL) sqlc generate
	DBMATE=$(DBMATE) REQUIRE_POSTGRES=1 go test ./db -run TestSchemaDumps -update

.PHONY: verify
verify: $(DBMATE) ## fail where generated code, schema dumps or go.mod are stale, or a shared query compiles on one engine alone
	@if LC_ALL=C grep -rn --include='*.sql' '[^ -~	]' db; then echo "the lines above are not ASCII: sqlc would cut the query short"; exit 1; fi
	$(TOOL) sqlc compile
	$(TOOL) sqlc diff
	DBMATE=$(DBMATE) REQUIRE_POSTGRES=1 go test -count=1 ./db
	go mod tidy -diff
	cd tools && go mod tidy -diff
	cd bench && go mod tidy -diff

.PHONY: db-new
db-new: $(DBMATE) ## begin a migration for both engines: make db-new NAME=add_favorites
	@test -n "$(NAME)" || { echo "say what it is about: make db-new NAME=add_favorites"; exit 1; }
	@$(DBMATE) --migrations-dir db/migrations/sqlite new "$(NAME)"
	@file=$$(ls db/migrations/sqlite | tail -n 1) && cp "db/migrations/sqlite/$$file" db/migrations/postgres/ && \
		echo "the same for PostgreSQL:  db/migrations/postgres/$$file"

.PHONY: db-init
db-init: $(DBMATE) db-folder ## create the database and apply all migrations
	@$(RUN_DBMATE) up

.PHONY: db-migrate
db-migrate: $(DBMATE) db-folder ## apply pending migrations
	@$(RUN_DBMATE) migrate

.PHONY: db-rollback
db-rollback: $(DBMATE) ## take the latest migration back
	@$(RUN_DBMATE) rollback

.PHONY: db-status
db-status: $(DBMATE) db-folder ## show which migrations are applied
	@$(RUN_DBMATE) status

# dbmate deletes a SQLite file, but not the log beside it, which SQLite would play back into the new file.
.PHONY: db-reset
db-reset: $(DBMATE) db-folder ## delete the database with ALL DATA and make it anew; asks first
	@printf 'This deletes ALL DATA in %s. Type yes to go on: ' "$$(echo "$$DATABASE_URL" | sed 's,//[^@/]*@,//***@,')"; \
		read -r answer; test "$$answer" = yes || { echo "nothing was changed"; exit 1; }
	@dropped=$$($(RUN_DBMATE) drop | sed -n 's/^Dropping: //p') && \
		if [ $(ENGINE) = sqlite ]; then rm -f "$$dropped-wal" "$$dropped-shm"; fi
	@$(RUN_DBMATE) up

# As the store does: the folder of a relative SQLite path is made.
.PHONY: db-folder
db-folder:
	@case "$$DATABASE_URL" in \
		sqlite:/*|postgres*) ;; \
		sqlite*:*/*) mkdir -p "$$(dirname "$${DATABASE_URL#sqlite*:}")" ;; \
	esac

$(DBMATE): tools/go.mod
	go build -modfile=tools/go.mod -tags sqlite_fts5 -o $@ github.com/amacneil/dbmate/v2
	@touch $@
