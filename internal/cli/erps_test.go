package cli

import (
	"database/sql"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/sandbox/sagepro"
)

// twoErps is a site with both ERPs: Sage Pro is a database file.
type twoErps struct {
	*site
	file string
}

func newTwoErps(t *testing.T) *twoErps {
	t.Helper()
	s := &twoErps{site: newSite(t), file: filepath.Join(t.TempDir(), "sagepro.db")}
	company, err := sagepro.New(t.Context(), sagepro.Config{Dialect: "sqlite", DSN: s.file})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, company.Close()) })
	maps.Copy(s.env, map[string]string{
		"TENDERLINE_CHANNELS":        `{"web-us":{"erp":"sagepro"},"*":{}}`,
		"TENDERLINE_SAGEPRO_DIALECT": "sqlite",
		"TENDERLINE_SAGEPRO_DSN":     s.file,
	})
	return s
}

// alter changes the database of Sage Pro as its owner would.
func (s *twoErps) alter(t *testing.T, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", s.file)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// siteOverlay writes to columns that only its own site has.
const siteOverlay = "../../examples/sagepro/mappings"

var siteColumns = []string{
	"ALTER TABLE somast ADD COLUMN crmacct VARCHAR(18)", "ALTER TABLE somast ADD COLUMN webtier VARCHAR(10)", "ALTER TABLE arcust ADD COLUMN crmacct VARCHAR(18)",
}

func TestCheckProvesEveryErp(t *testing.T) {
	s := newTwoErps(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	found, got := findings(t, s.env, "--only", "erp")
	require.Equal(t, ExitOK, got.code, got.stdout+got.stderr)
	for _, check := range []string{"settings", "reach, credential, company", "stock", "credit memos"} {
		require.Equal(t, resultOK, found["erp syspro: "+check].Result, check)
		require.Equal(t, resultOK, found["erp sagepro: "+check].Result, check)
	}
	require.Equal(t, resultOK, found["erp sagepro: columns of the mappings"].Result)
	require.NotContains(t, found, "erp syspro: columns of the mappings")

	found, got = findings(t, s.with("TENDERLINE_SAGEPRO_DSN", ""), "--only", "erp")
	require.Equal(t, ExitFailure, got.code)
	require.Contains(t, found["erp sagepro: settings"].Detail, "TENDERLINE_SAGEPRO_DSN is required")
	require.Equal(t, resultSkipped, found["erp sagepro: stock"].Result)
	require.Equal(t, resultOK, found["erp syspro: stock"].Result, "one ERP says nothing of another")

	found, _ = findings(t, s.with("TENDERLINE_WORKER_ERPS", "syspro", "TENDERLINE_SAGEPRO_DSN", ""), "--only", "erp")
	require.NotContains(t, found, "erp sagepro: settings", "this host serves the other one alone")
}

func TestMappingsAreHeldToTheColumnsOfTheSite(t *testing.T) {
	s := newTwoErps(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	env := s.with("TENDERLINE_MAPPINGS_DIR", siteOverlay)
	found, got := findings(t, env, "--only", "mappings,erp")
	require.Equal(t, ExitFailure, got.code)
	require.Equal(t, resultOK, found["mappings: files compile"].Result)
	columns := found["erp sagepro: columns of the mappings"]
	require.Equal(t, resultFailed, columns.Result)
	for _, column := range []string{"somast.crmacct", "somast.webtier", "arcust.crmacct"} {
		require.Contains(t, columns.Detail, column, "all at once")
	}
	require.Contains(t, columns.Hint, "docs/sagepro.md")

	refused := execute(t, env, "", "worker")
	require.Equal(t, ExitFailure, refused.code, "a worker does not wait for the first order to find it out")
	require.Contains(t, refused.stderr, "somast.webtier")

	s.alter(t, siteColumns...)
	_, got = findings(t, env, "--only", "erp")
	require.Equal(t, ExitOK, got.code, got.stdout)
	_, stop := start(t, env, "worker", "worker starts", "monitoring")
	require.Equal(t, ExitOK, stop())
}

func TestCheckNamesWhatADatabaseLacks(t *testing.T) {
	s := newTwoErps(t)
	s.alter(t, "ALTER TABLE somast DROP COLUMN sotrack", "ALTER TABLE iciloc RENAME TO iciqty")
	found, got := findings(t, s.env, "--only", "erp")
	require.Equal(t, ExitFailure, got.code)
	reach := found["erp sagepro: reach, credential, company"]
	require.Contains(t, reach.Detail, "iciloc")
	require.Contains(t, reach.Hint, "names of tables and columns")
	require.Equal(t, resultSkipped, found["erp sagepro: customers"].Result)
}

func TestSetupMakesTheTablesBesideTheErp(t *testing.T) {
	s := newTwoErps(t)
	side := []string{"cyb_xref", "cyb_paystat", "cyb_watermark", "cyb_change"}
	for _, table := range side {
		s.alter(t, "DROP TABLE "+table)
	}
	readOnly := execute(t, s.with("TENDERLINE_SAGEPRO_DSN", "file:"+s.file+"?mode=ro"), "", "setup")
	require.Equal(t, ExitFailure, readOnly.code)
	require.Regexp(t, `(?m)^erp sagepro\s+failed`, readOnly.stdout)
	require.Regexp(t, `(?m)^central journal\s+ok`, readOnly.stdout, "the rest is done")
	for _, table := range side {
		require.Contains(t, readOnly.stdout, "CREATE TABLE IF NOT EXISTS "+table, "what somebody else has to run")
	}

	names := filepath.Join(t.TempDir(), "names.yaml")
	require.NoError(t, os.WriteFile(names, []byte("sideSchema: main\n"), 0o600))
	elsewhere := execute(t, s.with("TENDERLINE_SAGEPRO_DSN", "file:"+s.file+"?mode=ro", "TENDERLINE_SAGEPRO_NAMES_FILE", names), "", "setup")
	require.Contains(t, elsewhere.stdout, "CREATE TABLE IF NOT EXISTS main.cyb_xref", "in the names of the site")

	down := execute(t, s.with("TENDERLINE_SAGEPRO_DIALECT", "postgres", "TENDERLINE_SAGEPRO_DSN", "postgres://nobody@127.0.0.1:1/none?sslmode=disable"), "", "setup")
	require.Equal(t, ExitFailure, down.code)
	require.NotContains(t, down.stdout, "CREATE TABLE", "nobody is asked to run what only has to wait")

	got := execute(t, s.env, "", "setup")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Regexp(t, `(?m)^erp sagepro\s+ok\s+tables beside the ERP's own are there$`, got.stdout)
	require.NotContains(t, got.stdout, "CREATE TABLE")
	require.NotContains(t, got.stdout, "erp syspro")
	again := execute(t, s.with("TENDERLINE_SAGEPRO_DSN", "file:"+s.file+"?mode=ro"), "", "setup")
	require.Equal(t, ExitOK, again.code, "what is there takes no right to make: "+again.stderr)
	require.Equal(t, ExitOK, execute(t, s.with("TENDERLINE_SAGEPRO_DSN", ""), "", "setup").code, "a host that has no way to this ERP leaves it alone")
}

// TestAWorkerGivesEachErpItsOwnQueueAndLimit: the limits are what Temporal is asked to keep, over all workers.
func TestAWorkerGivesEachErpItsOwnQueueAndLimit(t *testing.T) {
	s := newTwoErps(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	polled := func() map[string]float64 {
		s.temporal.mutex.Lock()
		defer s.temporal.mutex.Unlock()
		return maps.Clone(s.temporal.polled)
	}
	for name, test := range map[string]struct {
		env  map[string]string
		want map[string]float64
	}{
		"both": {
			s.with("TENDERLINE_WORKER_ROLES", "erp", "TENDERLINE_SYSPRO_ACTIVITIES_PER_SECOND", "7", "TENDERLINE_SAGEPRO_ACTIVITIES_PER_SECOND", "2"),
			map[string]float64{"erp-syspro": 7, "erp-sagepro": 2},
		},
		"one of them": {
			s.with("TENDERLINE_WORKER_ROLES", "erp", "TENDERLINE_WORKER_ERPS", "sagepro", "TENDERLINE_SYSPRO_BASE_URL", "", "TENDERLINE_SAGEPRO_ACTIVITIES_PER_SECOND", "3"),
			map[string]float64{"erp-sagepro": 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.temporal.mutex.Lock()
			clear(s.temporal.polled)
			s.temporal.mutex.Unlock()
			_, stop := start(t, test.env, "worker", "worker starts", "monitoring")
			require.Eventually(t, func() bool { return len(polled()) == len(test.want) }, time.Minute, 10*time.Millisecond)
			require.Equal(t, ExitOK, stop())
			require.Equal(t, test.want, polled())
		})
	}
}

// TestAWorkerBesideAnErpNeedsNothingElse: neither the central database nor the gateway's secrets nor another ERP's.
func TestAWorkerBesideAnErpNeedsNothingElse(t *testing.T) {
	s := newTwoErps(t)
	s.temporal.setUp()
	env := map[string]string{
		"TENDERLINE_WORKER_ROLES": "erp", "TENDERLINE_WORKER_ERPS": "sagepro", "TENDERLINE_DATABASE_ERP_DSN": "sqlite:" + filepath.Join(t.TempDir(), "erp.db"),
		"TENDERLINE_METRICS_ADDRESS": "127.0.0.1:0", "TENDERLINE_WORKER_STOP_TIMEOUT": "1s",
	}
	for _, name := range []string{"TEMPORAL_ADDRESS", "TENDERLINE_ENCRYPTION_KEYS", "TENDERLINE_SAGEPRO_DIALECT", "TENDERLINE_SAGEPRO_DSN"} {
		env[name] = s.env[name]
	}
	got := execute(t, env, "", "setup")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Regexp(t, `(?s)erp journal +ok.*erp sagepro +ok`, got.stdout)
	found, got := findings(t, env)
	require.Equal(t, ExitOK, got.code, got.stdout+got.stderr)
	for name := range found {
		require.False(t, strings.HasPrefix(name, "gateway") || strings.HasPrefix(name, "database: connect"), name)
	}
	address, stop := start(t, env, "worker", "worker starts", "monitoring")
	code, body := get(t, address, "/readyz")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"status":"ready","checks":{"erp-journal":"ok","temporal":"ok"}}`, body)
	require.Equal(t, ExitOK, stop())
}

// TestAnErpThatIsDownKeepsNoWorkerFromStarting: others have work, and its own steps wait.
func TestAnErpThatIsDownKeepsNoWorkerFromStarting(t *testing.T) {
	s := newTwoErps(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	env := s.with("TENDERLINE_SAGEPRO_DIALECT", "postgres", "TENDERLINE_SAGEPRO_DSN", "postgres://nobody:s3cret@127.0.0.1:1/none?sslmode=disable&connect_timeout=1")
	found, got := findings(t, env, "--only", "erp")
	require.Equal(t, resultFailed, found["erp sagepro: reach, credential, company"].Result)
	require.NotContains(t, got.stdout+got.stderr, "s3cret")
	_, stop := start(t, env, "worker", "worker starts", "monitoring")
	require.Equal(t, ExitOK, stop())
}
