package sagepro_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/erptest"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/pgtest"
)

// scripts are what a site's database people run by hand.
const scripts = "../../../deploy/sagepro/"

// asGuest makes every connection act as one who has only the rights that he is given.
type asGuest struct{ driver.Connector }

func (a asGuest) Connect(ctx context.Context) (driver.Conn, error) {
	connection, err := a.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	_, err = connection.(driver.ExecerContext).ExecContext(ctx, "SET ROLE "+pgtest.Guest, nil)
	return connection, err
}

// grant is a line of roles.sql, which is written so that it holds for PostgreSQL, too, once the schema is left out.
var grant = regexp.MustCompile(`(?m)^GRANT (.+) ON dbo\.(\w+) TO tenderline_erp;$`)

// leastRights makes a client that has the rights of roles.sql and no others.
func leastRights(t *testing.T) (c *company, owner *sqlx.DB) {
	t.Helper()
	c = newCompany(t, sagepro.Postgres, pgtest.New(t, nil))
	owner, err := sagepro.Open(string(c.dialect), c.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, owner.Close()) })
	var there bool
	require.NoError(t, owner.Get(&there, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", pgtest.Guest))
	if !there {
		t.Skip("this server has no role " + pgtest.Guest)
	}
	script, err := os.ReadFile(scripts + "roles.sql")
	require.NoError(t, err)
	grants := grant.FindAllStringSubmatch(string(script), -1)
	require.Len(t, grants, strings.Count(string(script), "\nGRANT "), "every GRANT has the shape that this test reads")
	for _, g := range grants {
		_, err := owner.ExecContext(t.Context(), "GRANT "+g[1]+" ON "+g[2]+" TO "+pgtest.Guest)
		require.NoError(t, err)
	}
	db := sql.OpenDB(asGuest{c.server.Connector()})
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	c.client = c.newClient(t, sqlx.NewDb(db, string(c.dialect)))
	return c, owner
}

// TestConformanceOnPostgres holds the adapter to the suite with the rights that the script for sites gives, and the running totals to the script
// that asks a site's database for drift.
func TestConformanceOnPostgres(t *testing.T) {
	t.Parallel()
	c, owner := leastRights(t)
	erptest.Run(t, c.harness(t))
	require.Empty(t, drifting(t, owner))
	_, err := owner.ExecContext(t.Context(), "UPDATE sotran SET sostat = 'X' WHERE sono = (SELECT MIN(sono) FROM somast WHERE sostat = 'C')")
	require.NoError(t, err)
	require.Empty(t, drifting(t, owner), "a line that people took off an order, which is closed by now")
	for statement, total := range map[string]string{
		"UPDATE arcust SET onorder = onorder + 1 WHERE custno = 'WEB'":                                 "arcust.onorder",
		"UPDATE arcust SET balance = balance - 0.01 WHERE custno = 'WEB'":                              "arcust.balance",
		"UPDATE iciloc SET lsoaloc = lsoaloc + 1 WHERE item = 'A100'":                                  "iciloc.lsoaloc",
		"UPDATE armast SET paidamt = paidamt + 1 WHERE invno = (SELECT MIN(invno) FROM armast)":        "armast.balance",
		"UPDATE glbatch SET totdr = totdr + 1 WHERE batchno = (SELECT MIN(batchno) FROM glbatch)":      "glbatch",
		"UPDATE sotran SET sostat = '' WHERE sono = (SELECT MIN(sono) FROM somast WHERE sostat = 'X')": "sotran.sostat",
		"UPDATE sotran SET qtyord = 0 WHERE sono = (SELECT MIN(sono) FROM somast WHERE sostat = '')":   "somast.sostat",
	} {
		_, err := owner.ExecContext(t.Context(), statement)
		require.NoError(t, err)
		require.Contains(t, drifting(t, owner), total, statement)
	}
}

// drifting runs the statements of drift.sql and names the totals that differ.
func drifting(t *testing.T, db *sqlx.DB) []string {
	t.Helper()
	script, err := os.ReadFile(scripts + "drift.sql")
	require.NoError(t, err)
	var totals []string
	for statement := range strings.SplitSeq(withoutComments(string(script)), ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		var rows []struct {
			What string `db:"what"`
		}
		require.NoError(t, db.Unsafe().SelectContext(t.Context(), &rows, statement), statement)
		for _, row := range rows {
			totals = append(totals, row.What)
		}
	}
	return totals
}

func withoutComments(script string) string {
	return regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(script, "")
}

// TestRightThatIsMissing: a login with fewer rights than the script gives is a matter of credentials, and leaves nothing behind.
func TestRightThatIsMissing(t *testing.T) {
	t.Parallel()
	c, owner := leastRights(t)
	require.NoError(t, c.client.Check(t.Context()))
	_, err := owner.ExecContext(t.Context(), "REVOKE INSERT ON sotran FROM "+pgtest.Guest)
	require.NoError(t, err)
	_, err = c.client.CreateSalesOrder(t.Context(), "k", dialect{today: "2026-01-01"}.SalesOrder(erptest.SalesOrder{
		OrderNumber: "R-1", Customer: "WEB", Currency: "USD", StockCode: "A100", Warehouse: "N", Quantity: decimal.NewFromInt(1), UnitPrice: decimal.NewFromInt(5),
	}))
	require.True(t, fault.Is(err, fault.Credentials), "%v", err)
	_, err = c.client.FindSalesOrder(t.Context(), erp.SalesOrderRef{OrderNumber: "R-1"})
	require.True(t, fault.Is(err, fault.NotFound), "nothing of it is left: %v", err)
}
