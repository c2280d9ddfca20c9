package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/mappings"
)

// overlayDir is an overlay with one mapping file.
func overlayDir(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return dir
}

// customNote adds a field to the sales order.
const customNote = `version: "1"
rules:
  - to: CrmAccount
    expr: '"CRM " + order.orderId'
`

func TestTheSampleInputIsTheFixtureOfTheMappings(t *testing.T) {
	fixture, err := os.ReadFile("../../mappings/fixtures/order.yaml")
	require.NoError(t, err)
	require.Equal(t, string(fixture), string(sampleInput), "copy mappings/fixtures/order.yaml to internal/cli/sample_input.yaml")
}

func TestMappingsCheck(t *testing.T) {
	got := execute(t, nil, "", "mappings", "check")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Regexp(t, `(?m)^syspro/sales_order +\S+ +[0-9a-f]{12} +\S`, got.stdout)

	dir := overlayDir(t, "syspro/sales_order.yaml", "version: \"1\"\nrules:\n  - to: Comments\n    from: order.noSuchField\n")
	got = execute(t, map[string]string{"TENDERLINE_MAPPINGS_DIR": dir}, "", "mappings", "check")
	require.Equal(t, ExitFailure, got.code)
	require.Regexp(t, `^tenderline: \S+sales_order\.yaml:4: .+noSuchField`, got.stderr)
	require.Empty(t, got.stdout)
}

func TestMappingsTest(t *testing.T) {
	got := execute(t, nil, "", "mappings", "test", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	var results []mappings.TestResult
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &results))
	require.NotEmpty(t, results)

	dir := overlayDir(t, "syspro/sales_order_test.yaml", "base: ../fixtures/order.yaml\ntests:\n  - name: the site's own\n    wantPart: {OrderNumber: ELSE}\n")
	got = execute(t, nil, "", "mappings", "test", "--dir", dir)
	require.Equal(t, ExitFailure, got.code, got.stdout)
	require.Regexp(t, `(?m)^syspro/sales_order +the site's own +failed +\S+_test\.yaml:3: OrderNumber: want "ELSE", got "WEB-10001"$`, got.stdout)
	require.Regexp(t, `^tenderline: 1 of \d+ mapping tests failed\n$`, got.stderr)
}

func TestMappingsPreview(t *testing.T) {
	input := overlayDir(t, "input.yaml", string(sampleInput))
	got := execute(t, nil, "", "mappings", "preview", filepath.Join(input, "input.yaml"), "--mapping", "syspro/sales_order", "--explain", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	var view preview
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &view))
	require.Equal(t, "syspro/sales_order", view.Mapping)
	require.Contains(t, string(view.Document), `"WEB-10001"`)
	require.NotEmpty(t, view.Explanation)
	for _, e := range view.Explanation {
		require.NotEmpty(t, e.File, e.Target)
	}

	got = execute(t, nil, orderDocument, "mappings", "preview", "-", "--mapping", "cybersource/payment", "--explain")
	require.Equal(t, ExitOK, got.code, "an order alone is an input: %s", got.stderr)
	require.Regexp(t, `(?m)^TARGET +VALUE +RULE +SOURCE +READ +HOW$`, got.stdout)

	got = execute(t, nil, orderDocument, "mappings", "preview", "-", "--mapping", "no/such")
	require.Equal(t, ExitUsage, got.code)
	require.Contains(t, got.stderr, "syspro/sales_order", "it names those that there are")
	got = execute(t, nil, `{"order":{"noSuchField":1}}`, "mappings", "preview", "-", "--mapping", "syspro/sales_order")
	require.Equal(t, ExitFailure, got.code)
	require.Contains(t, got.stderr, "noSuchField")
}

func TestMappingsDiff(t *testing.T) {
	dir := overlayDir(t, "syspro/sales_order.yaml", customNote)
	got := execute(t, nil, "", "mappings", "diff", "-", dir)
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Regexp(t, `(?m)^syspro/sales_order +CrmAccount +- +"CRM WEB-10001"$`, got.stdout)

	got = execute(t, nil, orderDocument, "mappings", "diff", "-", dir, "--input", "-", "--mapping", "syspro/sales_order", "-o", "json", "--exit-code")
	require.Equal(t, ExitFailure, got.code)
	var differences []mappings.Difference
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &differences))
	require.Len(t, differences, 1)
	require.Equal(t, `"CRM WEB-20001"`, differences[0].After)

	got = execute(t, nil, "", "mappings", "diff", "-", "-", "-o", "json", "--exit-code")
	require.Equal(t, ran{code: ExitOK, stdout: "[]\n"}, got)
	require.Equal(t, ExitFailure, execute(t, nil, "", "mappings", "diff", "-", "/no/such/dir").code)
}
