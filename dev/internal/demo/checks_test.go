package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"

	"github.com/tenderline/tenderline/dev/internal/samples"
	"github.com/tenderline/tenderline/dev/internal/world"
)

func stateDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		full := filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o700))
		require.NoError(t, os.WriteFile(full, []byte(content), 0o600))
	}
	return dir
}

func TestATraceOfACardNumberIsFound(t *testing.T) {
	n := samples.CardNumber
	tests := map[string]struct{ file, form string }{
		"in the journal":            {"journal.db", n},
		"in the journal's log":      {"journal.db-wal", n[:4] + " " + n[4:8] + " " + n[8:12] + " " + n[12:]},
		"in Temporal's database":    {"temporal/temporal.db", n[:4] + "-" + n[4:8] + "-" + n[8:12] + "-" + n[12:]},
		"in the log":                {"tenderline.log", n},
		"in a ledger of a sandbox":  {"shop.jsonl", n},
		"in a file nobody knows of": {"temporal/deep/er", n},
		"in Sage Pro":               {"sagepro.db", n},
		"copied from Sage Pro":      {"journal.db-wal", samples.LegacyCard},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := stateDir(t, map[string]string{"journal.db": "x good-1 x", "temporal/temporal.db": "order/good-1", "sagepro.db-wal": samples.LegacyCard})
			require.NoError(t, leavesNoTrace(dir, "good-1"))
			full := filepath.Join(dir, test.file)
			require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o700))
			require.NoError(t, os.WriteFile(full, []byte("good-1\x00"+test.form+"\x00"), 0o600))
			require.ErrorContains(t, leavesNoTrace(dir, "good-1"), test.file+" has the card number")
		})
	}
}

func TestABlindSearchProvesNothing(t *testing.T) {
	dir := stateDir(t, map[string]string{"journal.db": "x good-1 x", "temporal/temporal.db": "sealed"})
	require.ErrorContains(t, leavesNoTrace(dir, "good-1"), "does not find order good-1 in temporal")
	require.Error(t, leavesNoTrace(filepath.Join(dir, "missing"), "good-1"))
}

func TestAPayloadInTheClearIsNoticed(t *testing.T) {
	sealed := func(encoding, data string) *commonpb.Payload {
		return &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(encoding)}, Data: []byte(data)}
	}
	require.NoError(t, isSealed(sealed("binary/encrypted", "\x01\x02"), "good-1"))
	require.ErrorContains(t, isSealed(sealed("json/plain", "\x01\x02"), "good-1"), "not encrypted")
	for _, plain := range []string{`{"orderId":"x"}`, "ada@example.com", "good-1"} {
		require.ErrorContains(t, isSealed(sealed("binary/encrypted", plain), "good-1"), "shows")
	}
}

func TestTheSummaryEndsWithAllThatDiffers(t *testing.T) {
	results := []samples.Result{{}, {
		Sample: samples.Sample{Title: "Clean sale"}, OrderID: "clean-1", Differences: []string{"order status: booking, expected confirmed", "late\nafter 1m30s"},
	}}
	require.Equal(t, "All 1 orders and every check came out as expected, in 7 seconds.", summary(results[:1], nil, 7e9))
	require.Equal(t, `NOT as expected: 1 of 2 orders differ, checks that failed: 1.
clean-1 (Clean sale): order status: booking, expected confirmed
clean-1 (Clean sale): late; after 1m30s
Payloads are sealed: one is not`, summary(results, []string{"Payloads are sealed: one is not"}, 7e9))
	require.Contains(t, summary(results[:1], []string{"Payloads are sealed: one is not"}, 7e9), "0 of 1 orders differ, checks that failed: 1.\nPayloads")
}

func TestFailedChecksAreNamed(t *testing.T) {
	var out strings.Builder
	p := &program{out: &out}
	failed := p.make(t.Context(), []check{
		{"Totals agree", func(context.Context) error { return nil }},
		{"Tables agree", func(context.Context) error { return errors.Join(errors.New("a"), errors.New("b")) }},
	})
	require.Equal(t, []string{"Tables agree: a; b"}, failed)
	require.Equal(t, "ok  Totals agree\nDIFFERS  Tables agree: a\nb\n", out.String())
}

func TestOnlyAGoodOrderIsOneToGoOnWith(t *testing.T) {
	review := samples.Result{Sample: samples.Sample{Slug: samples.WaitingReview}, OrderID: "review-1"}
	require.Equal(t, "review-1", good([]samples.Result{{OrderID: "other"}, review}, samples.WaitingReview))
	require.Empty(t, good([]samples.Result{review}, samples.Paid))
	review.Differences = []string{"rejected"}
	require.Empty(t, good([]samples.Result{review}, samples.WaitingReview))
	for _, slug := range []string{samples.WaitingReview, samples.Paid} {
		require.True(t, slices.ContainsFunc(samples.All(world.Syspro("")), func(s samples.Sample) bool { return s.Slug == slug }), slug)
	}
}

func TestTextsNameWhatToDo(t *testing.T) {
	about := places{
		UI: "http://ui", API: "http://api", Gateway: "http://gateway", ERP: "http://erp", Shop: "http://shop", KeyAnalyst: "dev-analyst", KeyShop: "dev-shop",
		KeyOperator: "dev-operator",
		Signal:      "fraud-decision", Flag: " --api http://api",
	}
	about = about.reviewing("held-1", func(workflowID string) string { return "http://ui/" + workflowID }).refunding("paid-1")
	var out strings.Builder
	require.NoError(t, say(&out, nextSteps, about))
	for _, part := range []string{
		"http://ui/fraud-review/held-1", `name  fraud-decision  with JSON input  {"decision":"accept"}`,
		"fraud accept held-1 --api http://api", "http://api/v1/fraud-reviews/held-1/decision", "http://gateway/_sandbox/tokens", "http://erp/_sandbox/faults",
		"TENDERLINE_API_KEY=dev-analyst go run . fraud show held-1 --api http://api",
		"TENDERLINE_API_KEY=dev-shop go run . refund create paid-1 R-1 --amount 10.00 --wait 15s --api http://api",
		"TENDERLINE_API_KEY=dev-operator go run . audit paid-1 --api http://api",
		"TENDERLINE_API_KEY=dev-operator go run . attention list --api http://api", "samples/wrong-stock-code.json",
	} {
		require.Contains(t, out.String(), part)
	}
	out.Reset()
	require.NoError(t, say(&out, nextSteps, about.reviewing("", nil)))
	require.Contains(t, out.String(), "held-1", "an order that waits already is kept")
	out.Reset()
	require.NoError(t, say(&out, nextSteps, places{}))
	require.NotContains(t, out.String(), "Accept the order")
	require.NotContains(t, out.String(), "Refund an order")
	out.Reset()
	require.NoError(t, say(&out, welcome, places{Ignored: "TENDERLINE_DATABASE_DSN", Dir: "/state"}))
	require.Contains(t, out.String(), "Not used, since this run has its own: TENDERLINE_DATABASE_DSN")
	require.NotContains(t, out.String(), "may end differently")
}
