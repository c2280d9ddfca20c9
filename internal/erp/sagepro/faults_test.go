package sagepro

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// newIdleDB is a database that nobody asks.
func newIdleDB() *sqlx.DB {
	db, err := Open("postgres", "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		panic(err)
	}
	return db
}

func newIdle(t *testing.T, dialect Dialect) *Client {
	t.Helper()
	db := newIdleDB()
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	c, err := New(Config{DB: db, Dialect: dialect, BusyPause: time.Minute})
	require.NoError(t, err)
	return c
}

func TestWhatADatabaseSaysBecomesAFault(t *testing.T) {
	server := func(number int32) error { return mssql.Error{Number: number, Message: "told"} }
	state := func(code pqerror.Code) error { return &pq.Error{Code: code, Message: "told"} }
	cases := []struct {
		dialect Dialect
		err     error
		kind    fault.Kind
		code    string
	}{
		{SQLServer, server(1205), fault.Busy, codeDeadlock},
		{SQLServer, server(1222), fault.Busy, codeLocked},
		{SQLServer, server(924), fault.Busy, codeBusy},
		{SQLServer, server(18456), fault.Credentials, codeLogin},
		{SQLServer, mssql.Error{Number: 18456, Message: "failed", All: []mssql.Error{{Number: 4060}, {Number: 18456}}}, fault.Busy, codeBusy},
		{SQLServer, server(3906), fault.Busy, codeBusy},
		{SQLServer, server(9002), fault.Connection, "NOT_SENT"},
		{SQLServer, server(1105), fault.Connection, "NOT_SENT"},
		{SQLServer, server(8645), fault.Connection, "NOT_SENT"},
		{SQLServer, mssql.StreamError{InnerError: errors.New("told")}, fault.Connection, "NOT_SENT"},
		{SQLServer, server(229), fault.Credentials, codeLogin},
		{SQLServer, server(2627), fault.Busy, codeDuplicate},
		{SQLServer, server(8152), fault.Value, codeInvalidField},
		{SQLServer, server(208), fault.MissingReference, codeSite},
		{SQLServer, server(6005), fault.Connection, "NOT_SENT"},
		{SQLServer, server(50000), fault.DeclinedByPolicy, codeRule},
		{SQLServer, server(547), fault.DeclinedByPolicy, codeRule},
		{SQLServer, server(102), fault.Bug, codeDatabase},
		{SQLServer, mssql.Error{Number: 3621, Message: "terminated", All: []mssql.Error{{Number: 8152}, {Number: 3621}}}, fault.Value, codeInvalidField},
		{SQLServer, mssql.Error{Number: 1, Class: 21}, fault.Connection, "NOT_SENT"},
		{Postgres, state("40P01"), fault.Busy, codeDeadlock},
		{Postgres, state("40001"), fault.Busy, codeDeadlock},
		{Postgres, state("55P03"), fault.Busy, codeLocked},
		{Postgres, state("55006"), fault.Busy, codeBusy},
		{Postgres, state("57P03"), fault.Busy, codeBusy},
		{Postgres, state("28P01"), fault.Credentials, codeLogin},
		{Postgres, state("42501"), fault.Credentials, codeLogin},
		{Postgres, state("22001"), fault.Value, codeInvalidField},
		{Postgres, state("23514"), fault.DeclinedByPolicy, codeRule},
		{Postgres, &pq.Error{Code: "23514", Constraint: "sotran_qtyord_check"}, fault.Value, codeInvalidField},
		{Postgres, state("P0001"), fault.DeclinedByPolicy, codeRule},
		{Postgres, state("42P01"), fault.MissingReference, codeSite},
		{Postgres, state("57P01"), fault.Connection, "NOT_SENT"},
		{Postgres, state("08006"), fault.Connection, "NOT_SENT"},
		{Postgres, state("53100"), fault.Connection, "NOT_SENT"},
		{Postgres, state("58030"), fault.Connection, "NOT_SENT"},
		{Postgres, state("25006"), fault.Busy, codeBusy},
		{Postgres, &net.DNSError{Err: "no such host", Name: "erp.internal"}, fault.Connection, "NOT_SENT"},
		{Postgres, &tls.CertificateVerificationError{Err: errors.New("expired")}, fault.Connection, "NOT_SENT"},
		{Postgres, state("XX000"), fault.Bug, codeDatabase},
		{Postgres, driver.ErrBadConn, fault.Connection, "NOT_SENT"},
		{Postgres, io.ErrUnexpectedEOF, fault.Connection, "NOT_SENT"},
		{Postgres, context.DeadlineExceeded, fault.Connection, "TIMEOUT"},
		{Postgres, context.Canceled, fault.Connection, "CANCELLED"},
		{SQLite, missingColumn{"somast.x"}, fault.MissingReference, codeSite},
		{SQLite, errors.New("out of the blue"), fault.Bug, codeDatabase},
	}
	for _, tc := range cases {
		f := fault.As(newIdle(t, tc.dialect).failed(tc.err))
		require.NotNil(t, f)
		require.Equal(t, tc.kind, f.Kind, "%v", tc.err)
		require.Equal(t, tc.code, f.Code, "%v", tc.err)
		require.NotEmpty(t, f.Message)
		require.Equal(t, tc.code == codeBusy, f.RetryAfter == time.Minute, "%v", tc.err)
	}
	c := newIdle(t, Postgres)
	require.NoError(t, c.failed(nil))
	refused := c.bug("mine")
	require.Equal(t, error(refused), c.failed(refused), "faults pass")
}

// A server that is down is one that its named instance can't be asked of, too: the driver has a sentence of its own for that.
func TestANamedInstanceThatIsDownIsWaitedFor(t *testing.T) {
	db, err := Open("sqlserver", "sqlserver://u:p@127.0.0.1/SAGE?database=PRO01&dial+timeout=1")
	require.NoError(t, err)
	defer db.Close()
	c, err := New(Config{DB: db, Dialect: SQLServer})
	require.NoError(t, err)
	require.True(t, fault.Is(c.Check(t.Context()), fault.Connection))
	_, err = c.CreateSalesOrder(t.Context(), "k", erp.Document{})
	require.True(t, fault.Is(err, fault.Connection), "%v", err)
}

// What a database repeats of a value may be a person's, or worse.
func TestADatabasesSentenceRepeatsNoValue(t *testing.T) {
	for sentence, want := range map[string]string{
		"String or binary data would be truncated in table 'somast', column 'ponum'. Truncated value: 'Ada Park'.": "String or binary data would be truncated in table 'somast', column 'ponum'. Truncated value: …",
		"Conversion failed when converting the varchar value 'ada' to data type int.":                              "Conversion failed when converting the varchar value …",
		`invalid input syntax for type double precision: "ada"`:                                                    "invalid input syntax for type double precision: …",
		"site rule: no Mondays\nCONTEXT: trigger":                                                                  "site rule: no Mondays",
		"the customer paid with 4111 1111 1111 1111 today":                                                         "…",
		strings.Repeat("x", 300): strings.Repeat("x", 200) + "…",
	} {
		c := newIdle(t, SQLServer)
		require.Equal(t, want, c.said(mssql.Error{Number: 50000, Message: sentence}))
		require.Equal(t, want, newIdle(t, Postgres).said(&pq.Error{Code: "P0001", Message: sentence}))
	}
}

// A commit that the database refused left nothing; one whose answer was lost left nobody knows what.
func TestWhatBecameOfACommit(t *testing.T) {
	for _, tc := range []struct {
		dialect Dialect
		err     error
		kind    fault.Kind
	}{
		{Postgres, sql.ErrTxDone, fault.Connection},
		{Postgres, &pq.Error{Code: "40001"}, fault.Busy},
		{Postgres, &pq.Error{Code: "23505"}, fault.Busy},
		{Postgres, &pq.Error{Code: "57P01"}, fault.UnknownOutcome},
		{Postgres, driver.ErrBadConn, fault.UnknownOutcome},
		{Postgres, io.EOF, fault.UnknownOutcome},
		{Postgres, context.DeadlineExceeded, fault.UnknownOutcome},
		{Postgres, errors.New("out of the blue"), fault.UnknownOutcome},
		{SQLServer, mssql.Error{Number: 1205}, fault.Busy},
		{SQLServer, mssql.Error{Number: 596, Class: 21}, fault.UnknownOutcome},
	} {
		f := fault.As(newIdle(t, tc.dialect).commitFailed(tc.err))
		require.NotNil(t, f)
		require.Equal(t, tc.kind, f.Kind, "%v", tc.err)
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	db := newIdleDB()
	defer db.Close()
	for name, config := range map[string]Config{
		"no database":      {Dialect: Postgres},
		"no dialect":       {DB: db},
		"company too long": {DB: db, Dialect: Postgres, Company: "001"},
		"user too long":    {DB: db, Dialect: Postgres, User: "TENDERLINE"},
		"names":            {DB: db, Dialect: Postgres, Names: Names{Suffix: "; DROP"}},
	} {
		_, err := New(config)
		require.Error(t, err, name)
	}
	_, err := Open("oracle", "secret")
	require.ErrorContains(t, err, `no driver "oracle"`)
	require.NotContains(t, err.Error(), "secret")
}
