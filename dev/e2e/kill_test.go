package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/ports"
	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// binary builds the real program.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tenderline")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// workerProcess is a `tenderline worker` of its own. It shares the journal, a SQLite file, with the API in this process.
type workerProcess struct {
	program string
	env     []string
	running *exec.Cmd
	log     *os.File
}

func newWorkerProcess(t *testing.T, r *rig) *workerProcess {
	t.Helper()
	free, err := ports.Free("127.0.0.1", 1)
	require.NoError(t, err)
	log, err := os.Create(filepath.Join(t.TempDir(), "worker.log"))
	require.NoError(t, err)
	w := &workerProcess{program: binary(t), log: log, env: append(os.Environ(), "TEMPORAL_ADDRESS="+r.stack.Temporal.Addr(), "TEMPORAL_NAMESPACE=default")}
	for name, value := range r.stack.Env {
		if name == "TENDERLINE_METRICS_ADDRESS" {
			value = fmt.Sprintf("127.0.0.1:%d", free[0])
		}
		w.env = append(w.env, name+"="+value)
	}
	t.Cleanup(func() {
		w.kill(t)
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the worker's log ends:\n%s", text[max(0, len(text)-8<<10):])
		}
		require.NoError(t, log.Close())
	})
	return w
}

func (w *workerProcess) start(t *testing.T) {
	t.Helper()
	w.running = exec.Command(w.program, "worker")
	w.running.Env, w.running.Stdout, w.running.Stderr = w.env, w.log, w.log
	require.NoError(t, w.running.Start())
}

// kill ends the process as a power cut would: SIGKILL, no last word.
func (w *workerProcess) kill(t *testing.T) {
	t.Helper()
	if w.running == nil {
		return
	}
	require.NoError(t, w.running.Process.Kill())
	_ = w.running.Wait()
	w.running = nil
}

// killable is a stack whose workers run in a process of their own. Calls may take so long that an order can be held in the middle of one;
// the rest is as short as elsewhere.
func killable(t *testing.T, more ...string) (*rig, *workerProcess) {
	t.Helper()
	settings := map[string]string{
		"TENDERLINE_CYBERSOURCE_TIMEOUT": "9s", "TENDERLINE_SYSPRO_TIMEOUT": "9s", "TENDERLINE_CALLBACK_TIMEOUT": "9s", "TENDERLINE_POLICY_STEP_TIMEOUT": "10s",
		"TENDERLINE_CYBERSOURCE_RESOLVE_BUDGET": "90s",
	}
	for i := 0; i+1 < len(more); i += 2 {
		settings[more[i]] = more[i+1]
	}
	r := start(t, stack.Options{NoWorkers: true, Env: settings})
	return r, newWorkerProcess(t, r)
}

// TestWorkerKilledInTheMiddleOfACall holds one order in each call of its way, once so that the call is carried out after the worker's death
// and once so that it is not, kills the worker, and starts another: all of them end as if nothing had been.
func TestWorkerKilledInTheMiddleOfACall(t *testing.T) {
	t.Parallel()
	r, worker := killable(t)
	worker.start(t)
	type point struct {
		name    string
		gateway bool
		route   string
		capture string
	}
	points := []point{
		{name: "customer", route: "POST /APIServices/CustomerService/AddCustomer"},
		{name: "stock", route: "GET /APIServices/InventoryService/GetStockBalance"},
		{name: "sale", gateway: true, route: payRoute},
		{name: "authorization", gateway: true, route: payRoute, capture: "after_authorization"},
		{name: "capture", gateway: true, route: "POST /pts/v2/payments/*/captures", capture: "after_authorization"},
		{name: "sales order", route: "POST /APIServices/SalesOrderService/AddSalesOrder"},
		{name: "ready", route: "POST /APIServices/SalesOrderService/UpdateSalesOrder"},
		{name: "invoice", route: "POST /APIServices/ARInvoiceService/AddARInvoice"},
		{name: "receipt", route: "POST /APIServices/ARPaymentService/AddARPayment"},
		{name: "payment status", route: "POST /APIServices/ARPaymentService/UpdatePaymentStatus"},
	}
	want := map[string]summary{}
	for _, capture := range []string{"immediate", "after_authorization"} {
		want[capture] = r.travel(t, journey{buy: buy{capture: capture}, end: "confirmed", events: 1})
	}
	type stuck struct {
		name, id, capture string
	}
	var orders []stuck
	for _, committed := range []bool{true, false} {
		for _, p := range points {
			sandbox := r.ERP.URL
			if p.gateway {
				sandbox = r.Gateway
			}
			// A delayed request is carried out when its caller dies; one that is to be answered 503 never is.
			fault := world.Fault{Route: p.route, Mode: "delay", DelayMs: 60_000, Times: 1}
			if !committed {
				fault.Mode, fault.Status, fault.Reason = "status", http.StatusServiceUnavailable, "SYSTEM_ERROR"
			}
			before := r.hits(t, sandbox, fault.Mode)
			require.NoError(t, r.Break(t.Context(), sandbox, fault))
			o := stuck{name: fmt.Sprintf("%s, carried out: %t", p.name, committed), id: r.id(), capture: p.capture}
			if o.capture == "" {
				o.capture = "immediate"
			}
			r.submit(t, r.order(t, o.id, buy{capture: o.capture}))
			require.Eventually(t, func() bool { return r.hits(t, sandbox, fault.Mode) > before }, patience, 10*time.Millisecond, "%s is not reached", o.name)
			orders = append(orders, o)
		}
		worker.kill(t)
		r.mend(t)
		worker.start(t)
	}
	for _, o := range orders {
		t.Run(o.name, func(t *testing.T) {
			r.ended(t, o.id, "confirmed")
			got := r.summarize(t, o.id, 1)
			require.Equal(t, want[o.capture], got)
		})
	}
}

// TestWorkerKilledAtRandom kills and restarts the worker at random times while orders of every kind run.
func TestWorkerKilledAtRandom(t *testing.T) {
	t.Parallel()
	r, worker := killable(t)
	worker.start(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ways := []journey{journeys[0], journeys[1], journeys[4], journeys[5], journeys[0], journeys[1]}
	ids := make([]string, len(ways))
	for i, way := range ways {
		ids[i] = r.id()
		r.submit(t, r.order(t, ids[i], way.buy))
		if i%2 == 1 {
			moment := time.NewTimer(time.Duration(random.IntN(400)) * time.Millisecond)
			<-moment.C
			worker.kill(t)
			worker.start(t)
		}
	}
	for i, way := range ways {
		view := r.ended(t, ids[i], way.end)
		require.Equal(t, way.end, view.Status)
		kinds := r.kinds(t, ids[i])
		require.Equal(t, 1, kinds["sale"]+kinds["auth"], "charged more than once: %v", kinds)
		require.Eventually(t, func() bool {
			return slices.ContainsFunc(r.callbacks(t, ids[i]), func(c callback) bool { return c.Event == "order."+way.end })
		}, patience, 50*time.Millisecond)
	}
}
