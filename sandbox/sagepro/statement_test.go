package sagepro

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAccesses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ query, want string }{
		{"INSERT INTO somast (sono) VALUES ($1)", "INSERT somast"},
		{"insert into somast(sono) values(?)", "INSERT somast"},
		{`INSERT INTO "pro01"."dbo"."SOMAST" ("sono") VALUES ('from soymst')`, "INSERT somast"},
		{"INSERT INTO [PRO01].[dbo].[somast] (sono) VALUES (@p1)", "INSERT somast"},
		{"INSERT INTO PRO01.dbo.somast DEFAULT VALUES", "INSERT somast"},
		{"INSERT INTO cyb_xref (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT cyb_xref"},
		{"INSERT INTO soymst (sono) SELECT sono FROM somast WHERE sostat = 'C'", "INSERT soymst, SELECT somast"},
		{"MERGE INTO cyb_change USING (SELECT 1) s ON 1 = 1", "INSERT cyb_change"},
		{"UPDATE sycnext SET nextval = nextval + 1 RETURNING nextval - 1", "UPDATE sycnext"},
		{"UPDATE arcust SET balance = ? WHERE custno IN (SELECT custno FROM somast)", "UPDATE arcust, SELECT somast"},
		{"DELETE FROM cyb_change WHERE stream = 'UPDATE somast'", "DELETE cyb_change"},
		{"SELECT custno FROM arcust WHERE custno = $1 FOR UPDATE", "SELECT arcust"},
		{"SELECT 1 FROM arcust FOR NO KEY UPDATE OF arcust", "SELECT arcust"},
		{"SELECT * FROM somast m JOIN sotran AS t ON t.sono = m.sono LEFT JOIN icitem i ON i.item = t.item", "SELECT somast, SELECT sotran, SELECT icitem"},
		{"SELECT * FROM somast m, sotran t, arcust WHERE m.sono = t.sono", "SELECT somast, SELECT sotran, SELECT arcust"},
		{"SELECT a FROM (SELECT a FROM armast UNION ALL SELECT a FROM arymst) AS x", "SELECT armast, SELECT arymst"},
		{"SELECT sono FROM somast -- FROM sotran\nWHERE 1 = 1 /* FROM arcust */", "SELECT somast"},
		{"WITH x AS (SELECT 1 FROM armast) SELECT * FROM x", "SELECT armast, SELECT x"},
		{"SELECT 'it''s FROM somast'", ""},
		{"SELECT 1", ""},
		{"", ""},
		{"FROM", ""},
		{"INSERT INTO", ""},
		{`UPDATE "unfinished`, "UPDATE unfinished"},
		{"PRAGMA busy_timeout = 5", ""},
	} {
		found := []string{}
		for _, a := range accesses(test.query) {
			found = append(found, a.String())
		}
		require.Equal(t, test.want, strings.Join(found, ", "), test.query)
	}
}

// FuzzAccesses wants an end, and no table without a name, whatever a statement is.
func FuzzAccesses(f *testing.F) {
	for _, seed := range []string{"INSERT INTO a.b (c) VALUES ('x')", `SELECT * FROM "a", [b] -- c`, "/*", "'", "UPDATE", "FROM a,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, a := range accesses(query) {
			require.Contains(t, []string{"INSERT", "UPDATE", "DELETE", "SELECT"}, a.verb)
			require.Equal(t, strings.ToLower(a.table), a.table)
		}
	})
}
