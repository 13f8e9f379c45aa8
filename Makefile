# make test is the one command that must pass on a fresh Debian machine with Go. It installs
# redis-server.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
MODULES     = . examples/gameapi examples/compose k8s coherence-model \
              test/register test/page test/alerts
FUZZTIME   ?= 10s
CHECK_OPS  ?= 12000
CHECK_SEED ?= 1
CHECK_JOBS ?= 250
REDIS_RUNS ?= 10

.PHONY: test tidy tools check unit checkers modules fuzz check-rfc check-coherence check-jobs \
        measure-jobs check-redis check-model check-image check-alerts check-docs check-page \
        bench bench-docs build cross demo clean

# Two at a time: unit takes longest, and the others run beside it, one after the other. Each prints
# when it is done.
test: tools
	@$(MAKE) --no-print-directory -j2 -O unit check checkers modules

# redis-server is Debian's. Without root and sudo the command is told.
tools:
	@command -v redis-server >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then sudo=; \
	  elif command -v sudo >/dev/null; then sudo=sudo; \
	  else echo 'redis-server is missing: apt-get install redis-server' >&2; exit 1; fi; \
	  $$sudo apt-get update -q && \
	  $$sudo apt-get install -y -q --no-install-recommends redis-server; }

# go run keeps the linked staticcheck in the build cache: it is compiled once.
check:
	@unformatted="$$(gofmt -l .)"; \
	test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	@for m in $(MODULES); do \
	  (cd $$m && echo "vet and staticcheck: $$m" && go vet ./... && go run $(STATICCHECK) ./...) \
	  || exit 1; done

# The end-to-end tests come first, since they wait most of the time: the other packages are tested
# beside them. They run programs that they build, which go test's cache does not know: hence
# -count=1. make check vets all packages.
unit:
	go test -vet=off -count=1 -race -timeout 14m ./test/e2e \
	  $$(go list ./... | grep -v -e /test/e2e$$ -e /test/check$$ \
	      -e /test/jobscheck$$ -e /test/docs$$)

# The checkers run without the race detector: they want many operations, and the end-to-end tests
# race the same code. One after the other, since unit runs beside them. internal/socket has other
# system calls with the race detector than without it. What is answered below net/http is compared
# with net/http's answers for about a minute: by number, since at the end of a time the fuzzer may
# take its own deadline for a failure.
checkers:
	go test -vet=off -count=1 -p 1 -timeout 14m ./internal/socket ./test/check ./test/jobscheck
	go test -vet=off -run '^$$' -fuzz '^FuzzQuick$$' -fuzztime 25000x \
	  -fuzzminimizetime 1x -parallel 1 ./wire

modules:
	cd examples/gameapi && go test -vet=off -race -timeout 5m ./...
	cd examples/compose && go test -vet=off -timeout 5m ./...
	cd k8s && go test -vet=off -timeout 5m ./...

# After a change of go.mod: examples/compose and k8s are modules that use this one.
tidy:
	@for m in $(MODULES); do (cd $$m && go mod tidy) || exit 1; done

# Every fuzz target for FUZZTIME each; CI runs their seeds with the other tests.
fuzz:
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

# Every case of the RFC tables against the binary; make test runs them in process.
check-rfc:
	go test -race -count=1 -timeout 10m ./test/e2e -run TestTheBinaryKeepsTheCachingRFCs -rfc.all

# The promise after a write, long: every class of faults with CHECK_OPS checked operations, and
# every guard switched off once. make test runs a short form.
check-coherence:
	go test -count=1 -timeout 60m -v ./test/check -check.ops $(CHECK_OPS) -check.seed $(CHECK_SEED)

# What jobs promise, long: CHECK_JOBS requests under every class of faults, and nothing is hurried.
# make test runs a short form.
check-jobs:
	go test -count=1 -timeout 30m -v ./test/jobscheck -jobs.patient -jobs.count $(CHECK_JOBS) -jobs.seed $(CHECK_SEED)

# The figures of docs/jobs.md, three times: pickup, cost while idle, POSTs against a bare Enqueue.
measure-jobs:
	go test -count=3 -timeout 30m ./test/jobscheck -run '^$$' -bench . -benchtime 1x

# Every kind of Redis, REDIS_RUNS times: failovers, moving slots, rotation, faults of access.
check-redis:
	go test -race -count=$(REDIS_RUNS) -timeout 60m ./internal/redisconn ./cmd/sidecar \
	  -run 'TLS|Access|Sentinel|Cluster|Rotated|Managed|Kind|Failover|Advice'

# The model of the protocol, searched whole: minutes, and some gigabytes.
check-model:
	cd coherence-model && go run .

# The steps of the Dockerfile, one by one, without Docker: size, user, no shell, a read-only root.
check-image:
	cd examples/compose && go test -count=1 -timeout 15m -v -run TestTheSteps . -args -image.build

# Every alert fires once, and none does in a healthy run: on invented series by promtool, and in two
# minutes by its real cause in a Prometheus that scrapes sidecars under load. Each panel of the
# dashboard has a number there. promtool and prometheus are Debian's.
check-alerts:
	promtool test rules monitoring/rules_test.yaml
	cd test/alerts && go test -count=1 -timeout 15m .

# README.md and docs, followed from a clean clone of the last commit: a minute or two.
check-docs: tools
	go test -count=1 -timeout 20m -v ./test/docs

# The sidecar beside nginx, Varnish and HAProxy, in about a minute. BENCH has further flags.
bench:
	go run ./bench $(BENCH)

# Everything, in 12 minutes of a machine that does nothing else: fills in docs/performance.md.
bench-docs:
	go run ./bench -docs $(BENCH)

# The page of the ops address in Chromium, in both themes and two widths, with its screenshots in
# bin/page. chromium is Debian's; axe-core comes from npm, where there is one.
check-page:
	cd test/page && go test -count=1 -timeout 10m -v . -args -shots $(CURDIR)/bin/page

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/sidecar ./cmd/sidecar

# The binary of each architecture that is supported.
cross:
	@for a in amd64 arm64; do \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$a \
	  go build -trimpath -ldflags '-s -w' -o bin/sidecar-linux-$$a ./cmd/sidecar || exit 1; done

# The same binary as that of make build, so that nothing is compiled twice.
demo: build
	bin/sidecar demo $(DEMO)

clean:
	rm -rf bin
