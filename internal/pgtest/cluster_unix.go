//go:build unix

package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// role owns the test databases; it can create databases and nothing else, so that a missing grant shows.
const role = "tenderline"

// keeper runs the server ($1) on the directory $2 until its standard input closes, which the kernel does when the test
// process ends, and then removes everything. SIGQUIT is PostgreSQL's immediate shutdown.
const keeper = `
"$1" -D "$2/data" -k "$2" -h '' -F \
	-c synchronous_commit=off -c full_page_writes=off -c autovacuum=off -c jit=off \
	-c max_connections=200 -c shared_buffers=32MB -c timezone=UTC -c log_min_messages=warning >"$2/log" 2>&1 &
server=$!
read -r _
kill -QUIT "$server"
wait "$server"
rm -rf "$2"
`

// startCluster makes a cluster in a temporary directory and starts it without durability, reachable through a Unix
// socket in that directory only: no port is taken, and nobody but this user and root can get at it.
func startCluster() (base string, err error) {
	programs, err := findBinaries()
	if err != nil {
		return "", err
	}
	owner, err := unprivileged()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "tenderline-pg-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	initdb := exec.CommandContext(ctx, programs.initdb, "-D", filepath.Join(dir, "data"), //nolint:gosec // found by findBinaries
		"-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: owner}
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := keep(programs.postgres, dir, owner); err != nil {
		return "", err
	}
	return prepare(dir)
}

// keep starts the keeper. Its life line is the pipe to its standard input, whose other end stays open in this process and
// in no child of it. It has a session of its own, so that Ctrl-C reaches the tests but leaves it to clean up.
func keep(postgres, dir string, owner *syscall.Credential) error {
	//nolint:gosec,noctx // the keeper is a constant, and outlives this process
	sh := exec.Command("/bin/sh", "-c", keeper, "pgtest", postgres, dir)
	sh.Dir, sh.SysProcAttr = dir, &syscall.SysProcAttr{Credential: owner, Setsid: true}
	if _, err := sh.StdinPipe(); err != nil {
		return err
	}
	if err := sh.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	go func() { _ = sh.Wait() }() // holds the pipe, and so the life line, until the process ends
	return nil
}

// prepare waits until the server answers and creates the role. Its result is the URL of the role's connection.
func prepare(dir string) (string, error) {
	db, err := sql.Open("postgres", socketURL(dir, "postgres"))
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "log")) // best effort, it only helps to understand
			return "", fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if _, err := db.ExecContext(ctx, "CREATE ROLE "+role+" LOGIN CREATEDB; CREATE ROLE "+Guest+"; GRANT "+Guest+" TO "+role); err != nil {
		return "", fmt.Errorf("create role: %w", err)
	}
	return socketURL(dir, role), nil
}

func socketURL(dir, user string) string {
	query := url.Values{"host": {dir}, "user": {user}, "sslmode": {"disable"}}
	return "postgres:///postgres?" + query.Encode()
}

// unprivileged is the user to run as instead of root, which PostgreSQL refuses; nil where this process is not root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}
