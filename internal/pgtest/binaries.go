package pgtest

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// oldest is the first major version that can drop a database that is in use (WITH FORCE).
const oldest = 13

// binaries are the two programs that a cluster needs.
type binaries struct {
	initdb, postgres string
	major            int
}

// directories where packages put the server's binaries, outside PATH: Debian, RHEL, Homebrew (two), Postgres.app.
func directories() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
}

// findBinaries returns the newest complete pair on the machine, or ErrNoBinaries.
func findBinaries() (binaries, error) {
	var found []binaries
	consider := func(initdb, postgres string) {
		if major := majorVersion(postgres); major >= oldest && majorVersion(initdb) == major {
			found = append(found, binaries{initdb: initdb, postgres: postgres, major: major})
		}
	}
	initdb, errInitdb := exec.LookPath("initdb")
	postgres, errPostgres := exec.LookPath("postgres")
	if errInitdb == nil && errPostgres == nil {
		consider(initdb, postgres)
	}
	for _, pattern := range directories() {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return binaries{}, fmt.Errorf("look for PostgreSQL in %s: %w", pattern, err)
		}
		for _, dir := range matches {
			consider(filepath.Join(dir, "initdb"), filepath.Join(dir, "postgres"))
		}
	}
	if len(found) == 0 {
		return binaries{}, ErrNoBinaries
	}
	return slices.MaxFunc(found, func(a, b binaries) int { return cmp.Compare(a.major, b.major) }), nil
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorVersion asks the program itself, which also shows that it runs; 0 where it doesn't.
func majorVersion(program string) int {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return 0
	}
	match := versionText.FindSubmatch(out)
	if match == nil {
		return 0
	}
	major, err := strconv.Atoi(string(match[1]))
	if err != nil {
		return 0
	}
	return major
}
