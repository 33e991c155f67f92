# All commands of a developer of this project. "make" alone lists them.

# An empty DATABASE_URL means the default, as for the store.
ifeq ($(strip $(DATABASE_URL)),)
override DATABASE_URL := sqlite:data/generations.db
endif
export DATABASE_URL

# sqlc and staticcheck are Go tools. tools/go.mod pins them, so that importers of the module do not get their
# dependencies. go tool takes -modfile only without go.work. staticcheck itself needs go.work, so go tool only prints
# its path. dbmate needs a build tag for SQLite's full-text search, which go tool cannot pass, so make builds it.
TOOL        := GOWORK=off go tool -modfile=tools/go.mod
STATICCHECK := "$$($(TOOL) -n staticcheck)"
DBMATE      := $(CURDIR)/.bin/dbmate

# The code that ent generates for the benchmark is not in the repository. client.go stands for all of it.
ENT := bench/peers/ent/client.go

# The modules that require this one. With go.work they use this directory, whichever version they require.
STORAGE := github.com/dgx-music/storage
MODULES := bench cmd examples

# If dbmate's CLI has been built, the tests compare the store with it. They also run without it.
WITH_DBMATE = DBMATE=$(wildcard $(DBMATE))

# The engine of DATABASE_URL chooses the migrations and the schema file.
ifneq ($(filter sqlite%,$(DATABASE_URL)),)
ENGINE := sqlite
SCHEMA := db/schema.sql
else
ENGINE := postgres
SCHEMA := db/schema.postgres.sql
endif

# What make says of the URL. It shows only that of a SQLite file: any other may hold a password. The shell reads it from
# the environment, since it may have quotes.
export SHOWN_DATABASE := a URL that is neither sqlite: nor postgres:
ifneq ($(filter postgres:% postgresql:%,$(firstword $(DATABASE_URL))),)
SHOWN_DATABASE := a PostgreSQL URL
endif
ifneq ($(filter sqlite:% sqlite3:%,$(firstword $(DATABASE_URL))),)
SHOWN_DATABASE := $(if $(findstring @,$(DATABASE_URL))$(findstring ?,$(DATABASE_URL)),a SQLite URL,$(DATABASE_URL))
endif

# Only make generate writes the schema dumps: the database of DATABASE_URL may have another version or other tables.
RUN_DBMATE = umask 077 && $(DBMATE) --migrations-dir db/migrations/$(ENGINE) --schema-file $(SCHEMA) --no-dump-schema

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@printf '  DATABASE_URL is %s\n' "$$SHOWN_DATABASE"

.PHONY: demo
demo: ## generate some forty pieces of music on DATABASE_URL and show what the store records
	@go run ./examples/workflow

# Many tests wait, for a disk or for each other, so that more of them run at once than there are processors. The slowest
# packages begin first. testrun starts a PostgreSQL server for all of them.
TESTS   := ./store ./cmd/... ./internal/transfer ./internal/maintain ./... ./examples/...
TESTRUN := $(WITH_DBMATE) go run -v ./internal/testrun -timeout 30m -parallel 8

.PHONY: test
test: ## run the tests, on SQLite and on PostgreSQL if its server is installed; takes about 80 seconds on two cores
	$(TESTRUN) -short $(TESTS)

.PHONY: test-all
test-all: ## run also what takes long: kills, full disks, long loops, a new column in a copy; takes ten minutes
	TEST_ALL=1 $(TESTRUN) -count=1 $(TESTS)

.PHONY: test-race
test-race: ## run the tests of make test under the race detector, and of dgxstore those with goroutines
	$(TESTRUN) -race -short ./store ./internal/transfer ./internal/maintain ./... ./examples/...
	$(TESTRUN) -race -short -run 'Terminal|Interrupted' ./cmd/...

# Each test binary writes the counts of all rooms, and covdata adds them up. What only tests use, and what sqlc writes, does
# not count.
COVERAGE := $(CURDIR)/.bin/coverage
.PHONY: cover
cover: ## print the coverage of store, internal and storagedb by make test, and fail below 90 %
	@rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	$(TESTRUN) -short -coverpkg=./store,./internal/...,./storagedb ./store ./internal/transfer ./internal/maintain ./... \
		-args -test.gocoverdir=$(COVERAGE)
	@go tool covdata textfmt -i=$(COVERAGE) -o coverage.all.out
	@grep -vE '\.sql\.go:|storagedb/(db|models)\.go:|internal/(pgtest|testkit|testrun)/' coverage.all.out > coverage.out
	@covered() { { head -n 1 coverage.out; grep "storage/$$1/" coverage.out; } > coverage.one.out && \
			go tool cover -func=coverage.one.out | awk -v p="$$1" '/^total:/ { printf "%-20s %6s\n", p, $$3; exit ($$3 + 0 < 90) }'; }; \
		for room in $$(sed -n 's|.*storage/\(internal/[a-z]*\)/.*|\1|p' coverage.out | sort -u); do covered $$room; done; \
		for whole in store internal storagedb; do covered $$whole || { echo "$$whole: less than 90 % of statements are covered"; status=1; }; done; \
		rm coverage.all.out coverage.one.out; exit $${status:-0}

.PHONY: fuzz
fuzz: ## fuzz the reader of metadata and the search, for a minute each
	go test ./storagedb -run '^$$' -fuzz FuzzCanonical -fuzztime 60s -fuzzminimizetime 10x
	go test ./internal/listing -run '^$$' -fuzz FuzzSearch -fuzztime 60s -fuzzminimizetime 10x

# Some peers use mattn's driver, which needs a C compiler, and a build tag for full-text search. The first run also
# compiles SQLite for the program in C.
.PHONY: bench
bench: $(ENT) ## compare the store with its peers, and write docs/benchmarks.md; takes some twenty minutes
	cd bench && go run -tags sqlite_fts5 ./cmd/compare -out ../docs/benchmarks.md

.PHONY: bench-store
bench-store: $(ENT) ## measure parts of the store: lists of a million, claims, wake-ups, and the cost of triggers
	cd bench && go test -run '^$$' -bench . -benchmem .

.PHONY: seed
seed: ## fill the empty database of DATABASE_URL with a million generations to look around in
	@cd bench && go build -o $(CURDIR)/.bin/seed ./cmd/seed
	@.bin/seed

.PHONY: dgxstore
dgxstore: ## build .bin/dgxstore, the command line for operators
	cd cmd && CGO_ENABLED=0 go build -o $(CURDIR)/.bin/ ./dgxstore

.PHONY: lint
lint: $(ENT) ## run gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "run gofmt on: $$unformatted"; exit 1; fi
	go vet ./...
	cd bench && go vet ./...
	cd cmd && go vet ./...
	cd examples && go vet ./...
	$(STATICCHECK) ./... ./cmd/... ./examples/...

.PHONY: generate
generate: $(DBMATE) ## write the schema dumps from db/migrations, and the Go code from db/queries
	DBMATE=$(DBMATE) REQUIRE_POSTGRES=1 go test -count=1 ./db -run TestSchemaDumps -update
	$(TOOL) sqlc generate

.PHONY: verify
verify: $(DBMATE) $(ENT) ## fail if generated code, column lists, docs/schema.md or a go.mod is stale, or a query fails
	@if LC_ALL=C grep -rn --include='*.sql' '[^ -~	]' db; then \
		echo "the lines above are not ASCII: sqlc would cut the query short"; exit 1; fi
	DBMATE=$(DBMATE) REQUIRE_POSTGRES=1 go test -count=1 -run 'TestSchemaDumps|TestSchemaDoc|TestEveryColumn' ./db
	$(TOOL) sqlc compile
	$(TOOL) sqlc diff || { echo "the generated code is stale: run make generate"; exit 1; }
	REQUIRE_POSTGRES=1 go test -count=1 -run 'TestEveryStatement|TestEveryColumn' \
		./storagedb ./internal/transfer ./internal/engine
	go mod tidy -diff
	cd tools && go mod tidy -diff
	@$(call each_module,go mod tidy -diff -modfile="$$copy")

# go mod tidy ignores go.work, and the required version of the storage module may not be published. So it works on a
# copy of the module's go.mod, in which this directory replaces the storage module.
define each_module
	for module in $(MODULES); do \
		copy="$(CURDIR)/.bin/tidy/$$module.mod"; sum="$${copy%.mod}.sum"; \
		mkdir -p .bin/tidy && cp $$module/go.mod "$$copy" && cp $$module/go.sum "$$sum" && \
		go mod edit -replace="$(STORAGE)=$(CURDIR)" "$$copy" && \
		(echo "$$module: go mod tidy"; cd $$module && GOWORK=off $(1)) || exit 1; \
	done
endef

.PHONY: tidy
tidy: $(ENT) ## run go mod tidy in each module
	go mod tidy
	cd tools && go mod tidy
	@$(call each_module,go mod tidy -modfile="$$copy" && go mod edit -dropreplace=$(STORAGE) "$$copy" && \
		cp "$$copy" go.mod && cp "$$sum" go.sum)

# CONTRIBUTING.md lists all steps of a release.
.PHONY: require
require: ## set the version of the storage module that the other modules require: make require VERSION=v0.2.0
	@echo '$(VERSION)' | grep -qE '^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$$' || { \
		echo "VERSION must be a version: make require VERSION=v0.2.0"; exit 1; }
	@old=$$(sed -n 's|^replace $(STORAGE) \(v[^ ]*\) => .*|\1|p' go.work) && test -n "$$old" && \
		go work edit -dropreplace="$(STORAGE)@$$old" -replace="$(STORAGE)@$(VERSION)=./" && \
		for module in $(MODULES); do go mod edit -require="$(STORAGE)@$(VERSION)" $$module/go.mod || exit 1; done

.PHONY: db-new
db-new: $(DBMATE) ## create a migration for both engines: make db-new NAME=add_favorites
	@echo '$(NAME)' | grep -qE '^[a-z0-9_]+$$' || { \
		echo "NAME must have a-z, 0-9 and _ only: make db-new NAME=add_favorites"; exit 1; }
	@created=$$($(DBMATE) --migrations-dir db/migrations/sqlite new '$(NAME)' | sed -n 's/^Creating migration: //p') && \
		test -n "$$created" && \
		cp -n "$$created" db/migrations/postgres/ && \
		echo "created $$created" && echo "created db/migrations/postgres/$$(basename "$$created")"

.PHONY: db-init
db-init: $(DBMATE) db-directory ## create the database and apply all migrations
	@$(RUN_DBMATE) up

.PHONY: db-migrate
db-migrate: $(DBMATE) db-directory ## apply pending migrations
	@$(RUN_DBMATE) migrate

.PHONY: db-rollback
db-rollback: $(DBMATE) ## roll back the latest migration
	@$(RUN_DBMATE) rollback

.PHONY: db-status
db-status: $(DBMATE) db-directory ## show which migrations are applied
	@$(RUN_DBMATE) status

# dbmate deletes a SQLite file, but not its -wal file, which SQLite would replay into the new file.
.PHONY: db-reset
db-reset: $(DBMATE) db-directory ## delete the database with ALL DATA and create it again; asks first
	@printf 'This deletes ALL DATA in %s. ' "$$SHOWN_DATABASE"; \
		printf 'First stop all programs that use it. Type yes to continue: '; \
		read -r answer; test "$$answer" = yes || { echo "nothing was changed"; exit 1; }
	@output=$$($(RUN_DBMATE) drop) && \
		if [ $(ENGINE) = sqlite ]; then \
			file=$$(echo "$$output" | sed -n 's/^Dropping: //p') && rm -f "$$file-wal" "$$file-shm"; fi
	@$(RUN_DBMATE) up

# Create the directory of a relative SQLite path, as the store does.
.PHONY: db-directory
db-directory:
	@case "$$DATABASE_URL" in \
		sqlite*:/*|postgres*) ;; \
		sqlite*:*/*) mkdir -p "$$(dirname "$${DATABASE_URL#sqlite*:}")" ;; \
	esac

$(DBMATE): tools/go.mod
	CGO_ENABLED=1 GOWORK=off go build -modfile=tools/go.mod -tags sqlite_fts5 -o $@ github.com/amacneil/dbmate/v2
	@touch $@

$(ENT): bench/go.mod bench/peers/ent/generate.go $(wildcard bench/peers/ent/schema/*.go)
	find bench/peers/ent -mindepth 1 -maxdepth 1 ! -name generate.go ! -name schema -exec rm -rf {} +
	cd bench && go generate ./peers/ent
	@touch $@

# A generator that fails may have written a part of its output.
.DELETE_ON_ERROR:
