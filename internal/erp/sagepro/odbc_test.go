//go:build odbc

package sagepro_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp/erptest"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/pgtest"
)

// odbcDriver is PostgreSQL's driver as the package odbc-postgresql registers it with unixODBC.
const odbcDriver = "PostgreSQL Unicode"

// newODBC gives a company whose client speaks ODBC, over a line that can be cut.
func newODBC(t *testing.T) (*company, *line) {
	t.Helper()
	registered, err := exec.CommandContext(t.Context(), "odbcinst", "-q", "-d").CombinedOutput()
	if err != nil || !strings.Contains(string(registered), odbcDriver) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("unixODBC has no driver %q: %s", odbcDriver, registered)
		}
		t.Skipf("unixODBC has no driver %q (Debian: unixodbc-dev, odbc-postgresql)", odbcDriver)
	}
	c := newCompany(t, sagepro.Postgres, pgtest.New(t, nil))
	l := newLine(t, c.dsn)
	host, port := l.address()
	c.client = c.overODBC(t, host, port)
	return c, l
}

// overODBC makes a client that connects through ODBC to an address.
func (c *company) overODBC(t *testing.T, host, port string) *sagepro.Client {
	t.Helper()
	from, err := url.Parse(c.dsn)
	require.NoError(t, err)
	user := from.Query().Get("user")
	if from.User != nil {
		user = from.User.Username()
	}
	// Protocol 7.4-1: a failed statement ends the whole transaction, as everywhere else, instead of a savepoint around each.
	db, err := sagepro.Open("odbc", fmt.Sprintf("Driver={%s};Servername=%s;Port=%s;Database=%s;Uid=%s;Sslmode=disable;Protocol=7.4-1", odbcDriver, host, port,
		strings.TrimPrefix(from.Path, "/"), user))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return c.newClient(t, db)
}

// TestODBCConformance runs the suite over unixODBC. What the sandbox plants into connections of its own is planted into the line here. A login
// that is refused can't be told from a server that is not there: this driver reports both as 08001.
func TestODBCConformance(t *testing.T) {
	t.Parallel()
	c, l := newODBC(t)
	h := c.harness(t)
	planting := func(end ending, statement func(erptest.Operation) string) func(*testing.T, erptest.Operation) {
		return func(_ *testing.T, operation erptest.Operation) { l.plant(end, statementLike(statement(operation))) }
	}
	h.Unreachable, h.Unauthorised = c.overODBC(t, "127.0.0.1", "1"), nil
	h.DropAfter = planting(losesAnswer, firstStatement)
	h.Exclusive = nil
	h.Setbacks = []erptest.Setback{
		{Name: "connection lost at the first statement", Plant: planting(cutsAtOnce, firstStatement), Kind: fault.Connection},
		{Name: "connection lost at a later statement", Plant: planting(cutsAtOnce, laterStatement), Kind: fault.Connection},
		{Name: "commit lost", Plant: planting(losesCommit, firstStatement), Kind: fault.UnknownOutcome},
	}
	erptest.Run(t, h)
}

// TestODBCRowHeld: what the database itself says of a row that another transaction holds gets through ODBC.
func TestODBCRowHeld(t *testing.T) {
	t.Parallel()
	c, _ := newODBC(t)
	testRowHeld(t, c)
}

// ending is what becomes of a line.
type ending int

const (
	whole       ending = iota
	cutsAtOnce         // at the statement
	losesCommit        // at the COMMIT behind the statement, before the database has got it
	losesAnswer        // at the COMMIT behind the statement, when the database has done it
)

// line is a network line to a PostgreSQL server that can be cut at statements.
type line struct {
	listener net.Listener
	network  string // of the server
	server   string

	mu        sync.Mutex
	planned   ending
	statement *regexp.Regexp
}

func newLine(t *testing.T, dsn string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{listener: listener}
	l.network, l.server = serverOf(t, dsn)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { l.serve(client) })
		}
	})
	t.Cleanup(func() { // the clients are closed by now: what was made later is cleaned up first
		require.NoError(t, listener.Close())
		serving.Wait()
	})
	return l
}

// serverOf tells where the server of a DSN listens.
func serverOf(t *testing.T, dsn string) (network, address string) {
	t.Helper()
	parsed, err := url.Parse(dsn)
	require.NoError(t, err)
	host, port := parsed.Hostname(), parsed.Port()
	if given := parsed.Query().Get("host"); given != "" {
		host = given
	}
	if given := parsed.Query().Get("port"); given != "" {
		port = given
	}
	if port == "" {
		port = "5432"
	}
	if strings.HasPrefix(host, "/") {
		return "unix", filepath.Join(host, ".s.PGSQL."+port)
	}
	return "tcp", net.JoinHostPort(host, port)
}

func (l *line) address() (host, port string) {
	address := l.listener.Addr().(*net.TCPAddr)
	return address.IP.String(), strconv.Itoa(address.Port)
}

// plant spoils the next transaction with a statement that fits.
func (l *line) plant(end ending, statement string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.planned, l.statement = end, regexp.MustCompile(statement)
}

// takes tells what is planned for a statement, once.
func (l *line) takes(statement string) ending {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.planned == whole || !l.statement.MatchString(statement) {
		return whole
	}
	end := l.planned
	l.planned = whole
	return end
}

// serve carries one connection.
func (l *line) serve(client net.Conn) {
	defer client.Close()
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := dialer.DialContext(ctx, l.network, l.server)
	if err != nil {
		return
	}
	defer server.Close()
	lost := make(chan struct{}) // closed when the next answer is to be lost
	var answering sync.WaitGroup
	answering.Go(func() {
		defer client.Close()
		defer server.Close()
		buffer := make([]byte, 32<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			select {
			case <-lost:
				return
			default:
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	_ = l.carry(bufio.NewReader(client), server, lost) // ends with the connection, by whichever side
	_ = server.Close()
	answering.Wait()
}

// The messages of PostgreSQL's protocol in which statements travel.
const (
	simpleQuery = 'Q'
	parse       = 'P'
)

var errCut = errors.New("cut")

// carry passes a client's messages on, and looks at the statements in them.
func (l *line) carry(client *bufio.Reader, server io.Writer, lost chan struct{}) error {
	first, err := readMessage(client, 0) // the start-up message has no type
	if err != nil {
		return err
	}
	if _, err := server.Write(first); err != nil {
		return err
	}
	fate := whole
	for {
		message, err := readMessage(client, 1)
		if err != nil {
			return err
		}
		statement := ""
		switch message[0] {
		case simpleQuery:
			statement = string(message[5 : len(message)-1])
		case parse: // the statement's name comes first
			_, statement, _ = strings.Cut(string(message[5:]), "\x00")
		}
		if end := l.takes(statement); end != whole {
			fate = end
		}
		commit := strings.HasPrefix(strings.ToUpper(statement), "COMMIT")
		switch {
		case fate == cutsAtOnce, fate == losesCommit && commit:
			return errCut
		case fate == losesAnswer && commit:
			close(lost)
			fate = whole
		}
		if _, err := server.Write(message); err != nil {
			return err
		}
	}
}

// readMessage reads a message whole: its type, where it has one, its length, and what that counts.
func readMessage(from io.Reader, typed int) ([]byte, error) {
	head := make([]byte, typed+4)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(head[typed:]))
	if length < 4 || length > 1<<24 {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message := make([]byte, typed+length)
	copy(message, head)
	_, err := io.ReadFull(from, message[len(head):])
	return message, err
}
