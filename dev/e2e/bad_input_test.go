package e2e

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// pan is a test card of the public lists; it must never be kept. Its spellings are what is looked for.
const pan = "5555555555554444"

var spellings = []string{pan, "5555 5555 5555 4444", "5555-5555-5555-4444"}

// lockedBuffer takes logs of many goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// refusal is a problem document.
type refusal struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Rule    string `json:"rule"`
		Message string `json:"message"`
	} `json:"errors"`
}

func (p refusal) pointers() []string {
	var all []string
	for _, e := range p.Errors {
		all = append(all, e.Pointer)
	}
	return all
}

func TestBadInputStartsNothingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir, logs := t.TempDir(), &lockedBuffer{}
	r := start(t, stack.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	r.travel(t, journeys[0]) // something to lose a card among

	set := func(path string, value any) func(map[string]any) []byte {
		return func(order map[string]any) []byte {
			at := order
			steps := strings.Split(path, "/")
			for _, step := range steps[:len(steps)-1] {
				if list, ok := at[step].([]any); ok {
					at = list[0].(map[string]any)
					continue
				}
				at = at[step].(map[string]any)
			}
			at[steps[len(steps)-1]] = value
			return encode(order)
		}
	}
	tests := map[string]struct {
		body    func(order map[string]any) []byte
		status  int
		kind    string
		pointer string
	}{
		"malformed":               {func(o map[string]any) []byte { return encode(o)[:200] }, 400, "malformed", ""},
		"not an object":           {func(map[string]any) []byte { return []byte(`["order"]`) }, 422, "invalid", ""},
		"wrong total":             {set("total", "48.20"), 422, "invalid", "/total"},
		"unknown currency":        {set("currency", "XXQ"), 422, "invalid", "/currency"},
		"negative quantity":       {set("lines/quantity", "-2"), 422, "invalid", "/lines/0/quantity"},
		"10,000 lines":            {manyLines, 422, "invalid", "/lines"},
		"unknown field":           {set("discounts", "1"), 422, "invalid", "/discounts"},
		"card in a note":          {set("custom", map[string]any{"note": "card " + spellings[1] + " please"}), 422, "card-data", "/custom/note"},
		"card in a custom field":  {set("custom", map[string]any{"crmAccount": pan}), 422, "card-data", "/custom/crmAccount"},
		"card in a description":   {set("lines/description", "Widget for "+spellings[2]), 422, "card-data", "/lines/0/description"},
		"card in a name of field": {set("custom", map[string]any{pan: "x"}), 422, "card-data", ""},
		"card as a token":         {set("payment/token", map[string]any{"type": "transient", "value": pan}), 422, "card-data", "/payment/token/value"},
		"card in malformed JSON":  {func(o map[string]any) []byte { return []byte(`{"orderId":"X","note":"` + pan + `",`) }, 422, "card-data", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			id := r.id()
			answer, err := r.Call(t.Context(), http.MethodPost, r.API+"/v1/orders", world.Shop, test.body(r.order(t, id, buy{})))
			require.NoError(t, err)
			require.NotContains(t, string(answer.Body), pan)
			var problem refusal
			require.NoError(t, answer.Decode(&problem), string(answer.Body))
			require.Equal(t, test.status, answer.Status, string(answer.Body))
			require.Equal(t, "urn:tenderline:problem:"+test.kind, problem.Type)
			require.NotEmpty(t, problem.Errors, "no field is named")
			if test.pointer != "" {
				require.Contains(t, problem.pointers(), test.pointer)
			}
			r.requireNeverTaken(t, id)
		})
	}
	t.Run("card in a path", func(t *testing.T) {
		answer, err := r.Call(t.Context(), http.MethodGet, r.API+"/v1/orders/"+pan, world.Shop, nil)
		require.NoError(t, err)
		require.GreaterOrEqual(t, answer.Status, 400)
		require.Less(t, answer.Status, 500)
		require.NotContains(t, string(answer.Body), pan)
	})
	require.NotContains(t, logs.String(), pan)
	for _, spelling := range spellings {
		requireNowhere(t, dir, spelling)
	}
}

// TestUnknownToken: what a token is worth the gateway alone knows. The order is declined with a reason, and another card may follow.
func TestUnknownToken(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	id := r.id()
	order := r.order(t, id, buy{})
	order["payment"].(map[string]any)["token"].(map[string]any)["value"] = "eyJhbGciOiJub25lIn0.eyJqdGkiOiJ1bmtub3duIn0.c2ln"
	r.submit(t, order)
	view := r.await(t, id, func(v world.OrderView) bool { return v.Status == "awaiting_payment" })
	require.Contains(t, view.Reason, "token")
	require.Empty(t, r.kinds(t, id), "money was asked for")
	r.told(t, id, "order.declined")
	token, err := r.Token(t.Context(), "approve")
	require.NoError(t, err)
	require.NoError(t, r.Pay(t.Context(), id, token))
	r.ended(t, id, "confirmed")
}

func encode(order map[string]any) []byte {
	text, err := json.Marshal(order)
	if err != nil {
		panic(err)
	}
	return text
}

// manyLines makes an order of 10,000 lines.
func manyLines(order map[string]any) []byte {
	line := order["lines"].([]any)[0]
	lines := make([]any, 10_000)
	for i := range lines {
		lines[i] = line
	}
	order["lines"] = lines
	return encode(order)
}

// requireNeverTaken: no order, no workflow, no money, no document.
func (r *rig) requireNeverTaken(t *testing.T, id string) {
	t.Helper()
	answer, err := r.Call(t.Context(), http.MethodGet, r.API+"/v1/orders/"+id, world.Shop, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, answer.Status)
	connection, err := r.stack.App.Temporal(t.Context())
	require.NoError(t, err)
	_, err = connection.DescribeWorkflowExecution(t.Context(), workflows.OrderWorkflowID(id), "")
	var missing *serviceerror.NotFound
	require.ErrorAs(t, err, &missing)
	require.Empty(t, r.kinds(t, id))
	books, err := r.Books(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, books.SalesOrders)
}

// requireNowhere searches every file below a folder; what was written is looked at as it stands, databases with their logs.
func requireNowhere(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // a database's log that was just folded in
		}
		files++
		require.False(t, bytes.Contains(content, []byte(text)), "%s holds the card number", path)
		return err
	}))
	require.Greater(t, files, 3, "no state was searched")
}

// runs counts the workflows that ever ran, by the start of their ID.
func (r *rig) runs(t *testing.T, prefix string) int {
	t.Helper()
	connection, err := r.stack.App.Temporal(t.Context())
	require.NoError(t, err)
	count := 0
	require.Eventually(t, func() bool {
		answer, err := connection.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
			Query: "WorkflowId STARTS_WITH '" + prefix + "'",
		})
		count = int(answer.GetCount())
		return err == nil && count > 0
	}, patience, 50*time.Millisecond, "visibility shows no run")
	return count
}
