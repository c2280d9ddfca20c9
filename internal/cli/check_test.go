package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func findings(t *testing.T, env map[string]string, args ...string) (map[string]checked, ran) {
	t.Helper()
	got := execute(t, env, "", append([]string{"check", "-o", "json"}, args...)...)
	var list []checked
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &list), got.stdout+got.stderr)
	byName := map[string]checked{}
	for _, f := range list {
		byName[f.System+": "+f.Check] = f
	}
	require.Len(t, byName, len(list), "every check has a name of its own")
	return byName, got
}

func TestCheckProvesEverythingAndMovesNothing(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	got := execute(t, s.with("TENDERLINE_DATABASE_ERP_DSN", s.env["TENDERLINE_DATABASE_DSN"]), "", "check")
	require.Equal(t, ran{code: ExitOK, stdout: `SYSTEM      CHECK                           RESULT  DETAIL  WHAT TO DO
settings    values                          ok      -
mappings    files compile                   ok      -
database    settings                        ok      -
database    connect, tables                 ok      -
database    right to write                  ok      -
database    keys open what is stored        ok      -
temporal    settings                        ok      -
temporal    connect                         ok      -
temporal    search attributes               ok      -
temporal    right to read                   ok      -
temporal    right to write                  ok      -
gateway     settings                        ok      -
gateway     configure                       ok      -
gateway     credential, transaction search  ok      -
gateway     transaction details             ok      -
gateway     payments                        ok      -
gateway     decision manager                ok      -
erp syspro  settings                        ok      -
erp syspro  reach, credential, company      ok      -
erp syspro  customers                       ok      -
erp syspro  stock                           ok      -
erp syspro  sales orders                    ok      -
erp syspro  invoices                        ok      -
erp syspro  receipts                        ok      -
erp syspro  credit memos                    ok      -
`}, got)
	require.Empty(t, s.gateway.Ledger().Transactions, "no money moved")
	require.Equal(t, 1, s.temporal.signals)
}

func TestEveryCheckRunsAlsoWhenOneFails(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	s.temporal.forbidden = true
	wrong := "d3Jvbmctc2VjcmV0LW9mLXRoZS10ZXN0LW9mLTMyLWI="
	found, got := findings(t, s.with("TENDERLINE_CYBERSOURCE_SHARED_SECRET", wrong, "TENDERLINE_SYSPRO_CLIENT_SECRET", "wrong-erp-secret"))
	require.Equal(t, ExitFailure, got.code)
	require.Equal(t, "tenderline: 3 of 25 checks failed\n", got.stderr)

	gateway := found["gateway: credential, transaction search"]
	require.Equal(t, resultFailed, gateway.Result)
	require.Contains(t, gateway.Detail, "AUTHENTICATION_FAILED")
	require.Contains(t, gateway.Hint, "correct merchant id and key")
	require.Equal(t, resultSkipped, found["gateway: payments"].Result)

	facade := found["erp syspro: reach, credential, company"]
	require.Equal(t, resultFailed, facade.Result)
	require.Contains(t, facade.Hint, "TENDERLINE_SYSPRO_")

	write := found["temporal: right to write"]
	require.Equal(t, resultFailed, write.Result)
	require.Contains(t, write.Hint, "right to write")
	require.Equal(t, resultOK, found["temporal: right to read"].Result)

	for _, secret := range []string{wrong, "wrong-erp-secret", testKeys} {
		require.NotContains(t, got.stdout+got.stderr, secret)
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	s := newSite(t)
	found, got := findings(t, s.with("TENDERLINE_SYSPRO_BASE_URL", "http://127.0.0.1:1"))
	require.Equal(t, ExitFailure, got.code)
	require.Contains(t, found["database: connect, tables"].Hint, "tenderline setup")
	require.Equal(t, resultSkipped, found["database: right to write"].Result)
	require.Contains(t, found["temporal: search attributes"].Hint, "tenderline setup")
	require.Contains(t, found["erp syspro: reach, credential, company"].Hint, "network")

	found, _ = findings(t, nil, "--only", "settings,gateway")
	require.Equal(t, resultOK, found["settings: values"].Result)
	require.Contains(t, found["gateway: settings"].Detail, "TENDERLINE_CYBERSOURCE_MERCHANT_ID is required")
	require.NotContains(t, found, "database: settings")

	found, _ = findings(t, map[string]string{"TENDERLINE_LOG_LEVEL": "loud"}, "--only", "settings")
	require.Contains(t, found["settings: values"].Detail, "TENDERLINE_LOG_LEVEL")
	require.Equal(t, ExitUsage, execute(t, nil, "", "check", "--only", "moon").code)
}

func TestCheckTellsAMissingNamespaceFromAMissingSetup(t *testing.T) {
	s := newSite(t)
	s.temporal.nameless = true
	found, _ := findings(t, s.env, "--only", "temporal")
	require.Contains(t, found["temporal: search attributes"].Hint, "create the namespace")
}

func TestCheckIsForWhatTheHostDoes(t *testing.T) {
	s := newSite(t)
	erpHost := s.with("TENDERLINE_WORKER_ROLES", "erp", "TENDERLINE_DATABASE_DSN", "postgres://nobody@127.0.0.1:1/none",
		"TENDERLINE_DATABASE_ERP_DSN", "sqlite:"+filepath.Join(t.TempDir(), "erp.db"))
	require.Equal(t, ExitOK, execute(t, erpHost, "", "setup").code)
	found, got := findings(t, erpHost)
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Contains(t, found, "erp syspro: stock")
	require.NotContains(t, found, "gateway: settings")
	require.NotContains(t, found, "database: connect, tables")
}

func TestCheckOpensWhatIsStored(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	seedOrder(t, s)
	found, _ := findings(t, s.env, "--only", "database")
	require.Equal(t, resultOK, found["database: keys open what is stored"].Result)

	other := "other:" + strings.TrimPrefix(testKeys, "test:")
	found, got := findings(t, s.with("TENDERLINE_ENCRYPTION_KEYS", other), "--only", "database")
	require.Equal(t, ExitFailure, got.code)
	require.Equal(t, resultFailed, found["database: keys open what is stored"].Result)
	require.Contains(t, found["database: keys open what is stored"].Hint, "TENDERLINE_ENCRYPTION_KEYS")
}

func TestCheckOfASeparateErpJournal(t *testing.T) {
	s := newSite(t)
	env := s.with("TENDERLINE_DATABASE_ERP_DSN", "sqlite:"+filepath.Join(t.TempDir(), "erp.db"))
	require.Equal(t, ExitOK, execute(t, env, "", "setup").code)
	found, got := findings(t, env, "--only", "database")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Equal(t, resultOK, found["database: erp journal: right to write"].Result)
}
