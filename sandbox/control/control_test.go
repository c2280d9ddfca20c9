package control

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// service counts what is carried out and echoes bodies.
type service struct {
	*httptest.Server
	control *Control
	runs    atomic.Int64
	resets  atomic.Int64
}

func newService(t *testing.T, opts Options) *service {
	t.Helper()
	s := &service{control: New(opts)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		s.runs.Add(1)
		w.Header().Set("X-Made", "yes")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	s.control.Mount(mux, Hooks{
		Reset:  func() error { s.resets.Add(1); return nil },
		Ledger: func() any { return map[string]int64{"runs": s.runs.Load()} },
	})
	s.Server = httptest.NewServer(s.control.Wrap(mux))
	s.Client().Transport.(*http.Transport).DisableKeepAlives = true // no silent second try on a used connection
	t.Cleanup(s.Close)
	return s
}

func (s *service) send(t *testing.T, method, path, body string) (int, string, error) {
	t.Helper()
	request, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	response, err := s.Client().Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return response.StatusCode, string(read), err
}

func (s *service) fault(t *testing.T, body string) {
	t.Helper()
	status, answer, err := s.send(t, "POST", "/_sandbox/faults", body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status, answer)
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		mode   string
		status int
		body   string
		runs   int64
		cut    bool
	}{
		{`"mode":"status","status":502,"reason":"SYSTEM_ERROR"`, 502, `{"error":{"reason":"SYSTEM_ERROR","status":502}}` + "\n", 0, false},
		{`"mode":"drop_before"`, 0, "", 0, true},
		{`"mode":"drop_after"`, 0, "", 1, true},
		{`"mode":"delay","delayMs":1`, 201, "12345678", 1, false},
		{`"mode":"truncate"`, 201, "1234", 1, true},
		{`"mode":"garbage"`, 200, garbageBody, 0, false},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			s := newService(t, Options{})
			s.fault(t, `{"route":"POST /things/*",`+tc.mode+`,"times":1}`)
			status, body, err := s.send(t, "POST", "/things/7", "12345678")
			require.Equal(t, tc.cut, err != nil, "error %v", err)
			require.Equal(t, tc.status, status)
			require.Equal(t, tc.body, body)
			require.Equal(t, tc.runs, s.runs.Load())
			status, body, err = s.send(t, "POST", "/things/7", "12345678")
			require.NoError(t, err, "the fault is spent")
			require.Equal(t, "201 12345678", "201 "+body)
			require.Equal(t, 201, status)
			require.Equal(t, 1, s.control.faults.List()[0].Hits)
		})
	}
}

func TestTruncateOfAnEmptyAnswerIsACut(t *testing.T) {
	s := newService(t, Options{})
	require.NoError(t, s.control.Add(Fault{Route: "POST /things/*", Mode: ModeTruncate}))
	_, _, err := s.send(t, "POST", "/things/1", "")
	require.Error(t, err)
	require.EqualValues(t, 1, s.runs.Load())
}

func TestDelayEndsWhenTheClientGoes(t *testing.T) {
	s := newService(t, Options{})
	s.fault(t, `{"route":"POST /things/*","mode":"delay","delayMs":600000}`)
	client := &http.Client{Timeout: 50 * time.Millisecond}
	response, err := client.Post(s.URL+"/things/1", "text/plain", strings.NewReader("x"))
	if err == nil {
		_ = response.Body.Close()
	}
	require.Error(t, err)
	require.Eventually(t, func() bool { return s.runs.Load() == 1 }, 10*time.Second, time.Millisecond, "the slow system still does it")
}

// waiting sends a request that a fault holds, and gives its status once it is answered.
func (s *service) waiting(t *testing.T, path string) <-chan int {
	t.Helper()
	before := s.hits()
	answered := make(chan int, 1)
	go func() {
		response, err := s.Client().Post(s.URL+path, "text/plain", strings.NewReader("x"))
		if err != nil {
			answered <- 0
			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	require.Eventually(t, func() bool { return s.hits() == before+1 }, 10*time.Second, time.Millisecond)
	return answered
}

func (s *service) hits() (hits int) {
	for _, fault := range s.control.faults.List() {
		hits += fault.Hits
	}
	return hits
}

func TestWhoWaitsInAFaultGoesOnWhenItIsEnded(t *testing.T) {
	const tenMinutes = `"delayMs":600000`
	for name, tc := range map[string]struct {
		fault  string
		end    func(t *testing.T, s *service) (status int, body string, err error)
		status int
	}{
		"delay":                {`"mode":"delay"`, deleteFaults(""), 201},
		"delay that is spent":  {`"mode":"delay","times":1`, deleteFaults(""), 201},
		"drop_after":           {`"mode":"drop_after"`, deleteFaults(""), 0},
		"status":               {`"mode":"status","status":503`, deleteFaults(""), 503},
		"of this route":        {`"mode":"delay"`, deleteFaults("?route=POST+%2Fthings%2F*"), 201},
		"of this route, spent": {`"mode":"delay","times":1`, deleteFaults("?route=POST%20/things/*"), 201},
		"reset": {`"mode":"delay","times":1`, func(t *testing.T, s *service) (int, string, error) {
			t.Helper()
			return s.send(t, "POST", "/_sandbox/reset", "")
		}, 201},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, Options{})
			s.fault(t, `{"route":"POST /things/*",`+tc.fault+`,`+tenMinutes+`}`)
			answered := s.waiting(t, "/things/1")
			require.Empty(t, answered)
			require.Zero(t, s.runs.Load())
			status, body, err := tc.end(t, s)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, status, body)
			require.Equal(t, tc.status, <-answered)
			require.Equal(t, tc.status != 503, s.runs.Load() == 1)
			require.Empty(t, s.control.faults.List())
		})
	}
}

func deleteFaults(query string) func(*testing.T, *service) (int, string, error) {
	return func(t *testing.T, s *service) (int, string, error) {
		t.Helper()
		return s.send(t, "DELETE", "/_sandbox/faults"+query, "")
	}
}

func TestWhoWaitsInAFaultThatIsNoLongerListedGoesOn(t *testing.T) {
	s := newService(t, Options{})
	s.fault(t, `{"route":"POST /things/1","mode":"delay","delayMs":600000,"times":1}`)
	answered := s.waiting(t, "/things/1")
	for range keptSpentFaults {
		s.fault(t, `{"route":"POST /things/2","mode":"status","status":500,"times":1}`)
		_, _, err := s.send(t, "POST", "/things/2", "")
		require.NoError(t, err)
	}
	require.NotContains(t, routes(s), "POST /things/1")
	_, _, err := deleteFaults("?route=POST+/things/1")(t, s)
	require.NoError(t, err)
	require.Equal(t, 201, <-answered)
}

func routes(s *service) (all []string) {
	for _, fault := range s.control.faults.List() {
		all = append(all, fault.Route)
	}
	return all
}

func TestFaultsOfARouteEndAlone(t *testing.T) {
	s := newService(t, Options{})
	for _, route := range []string{"POST /things/1", "POST /things/*", "POST /things/1", "post /things/1"} {
		s.fault(t, `{"route":"`+route+`","mode":"delay","delayMs":600000,"times":1}`)
	}
	others := s.waiting(t, "/things/2")
	mine := s.waiting(t, "/things/1")
	_, _, err := deleteFaults("?route=POST+/things/1")(t, s)
	require.NoError(t, err)
	require.Equal(t, 201, <-mine)
	require.Equal(t, []string{"post /things/1", "POST /things/*"}, routes(s), "one that was posted in another form is another one; a spent one comes last")
	require.Empty(t, others)

	s.fault(t, `{"route":"POST /things/1","mode":"delay","delayMs":600000,"times":1}`)
	again := s.waiting(t, "/things/1") // in the one of the other form
	third := s.waiting(t, "/things/1")
	require.Empty(t, third, "the end of former faults of its route is not its own")
	_, _, err = deleteFaults("")(t, s)
	require.NoError(t, err)
	for _, answered := range []<-chan int{again, third, others} {
		require.Equal(t, 201, <-answered)
	}
}

func TestFaultsEndByNothingButOneRoute(t *testing.T) {
	s := newService(t, Options{})
	s.fault(t, `{"route":"POST /things/1","mode":"drop_before"}`)
	for _, query := range []string{"?rout=x", "?route=", "?route=a&route=b", "?route=a&times=1", "?route", "?%zz", "?route=a;b"} {
		status, body, err := deleteFaults(query)(t, s)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", query, body)
		require.Len(t, s.control.faults.List(), 1)
	}
	status, _, err := deleteFaults("?route=POST+/things")(t, s)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, status, "there is none of this route")
	require.Len(t, s.control.faults.List(), 1)
}

func TestFaultsDoNotTouchTheControlSurface(t *testing.T) {
	s := newService(t, Options{})
	s.fault(t, `{"route":"* /**","mode":"drop_before"}`)
	_, _, err := s.send(t, "POST", "/things/1", "")
	require.Error(t, err)
	status, _, err := s.send(t, "GET", "/_sandbox/faults", "")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	status, _, err = s.send(t, "DELETE", "/_sandbox/faults", "")
	require.NoError(t, err)
	require.Equal(t, 204, status)
	status, _, err = s.send(t, "POST", "/things/1", "")
	require.NoError(t, err)
	require.Equal(t, 201, status)
}

func TestTimesAreCountedAtomically(t *testing.T) {
	s := newService(t, Options{})
	s.fault(t, `{"route":"POST /things/*","mode":"status","status":500,"times":3}`)
	var failed atomic.Int64
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			response, err := s.Client().Post(s.URL+"/things/1", "text/plain", nil)
			if err != nil {
				return
			}
			_ = response.Body.Close()
			if response.StatusCode == http.StatusInternalServerError {
				failed.Add(1)
			}
		})
	}
	wait.Wait()
	require.EqualValues(t, 3, failed.Load())
	require.EqualValues(t, 17, s.runs.Load())
}

func TestRate(t *testing.T) {
	rolls := []float64{0.29, 0.3, 0.99, 0}
	s := newService(t, Options{Random: func() float64 { r := rolls[0]; rolls = rolls[1:]; return r }})
	s.fault(t, `{"route":"POST /things/*","mode":"status","status":500,"rate":0.3}`)
	for _, want := range []int{500, 201, 201, 500} {
		status, _, err := s.send(t, "POST", "/things/1", "")
		require.NoError(t, err)
		require.Equal(t, want, status)
	}
}

func TestRoutes(t *testing.T) {
	for _, tc := range []struct {
		route, method, path string
		want                bool
	}{
		{"POST /pts/v2/payments", "POST", "/pts/v2/payments", true},
		{"POST /pts/v2/payments", "GET", "/pts/v2/payments", false},
		{"POST /pts/v2/payments", "POST", "/pts/v2/payments/1", false},
		{"post /pts/v2/payments/*/captures", "POST", "/pts/v2/payments/1/captures", true},
		{"POST /pts/v2/payments/*/captures", "POST", "/pts/v2/payments/1/2/captures", false},
		{"POST /pts/v2/payments/*", "POST", "/pts/v2/payments", false},
		{"* /pts/**", "DELETE", "/pts/v2/payments/1", true},
		{"* /pts/**", "DELETE", "/tss/v2", false},
	} {
		f := Fault{Route: tc.route, Mode: ModeDropBefore}
		require.NoError(t, f.compile())
		require.Equal(t, tc.want, f.matches(tc.method, tc.path), "%s against %s %s", tc.route, tc.method, tc.path)
	}
}

func TestBadFaultsAreRefused(t *testing.T) {
	s := newService(t, Options{})
	for _, body := range []string{
		`{`, `{"route":"/x","mode":"delay"}`, `{"route":"GET x","mode":"delay"}`, `{"route":"GET /x","mode":"explode"}`,
		`{"route":"GET /x","mode":"status"}`, `{"route":"GET /x","mode":"delay","rate":1.1}`, `{"route":"GET /x","mode":"delay","times":-1}`,
		`{"route":"GET /x","mode":"delay","delayMs":-1}`, `{"route":"GET /x","mode":"delay","delayMs":600001}`,
		`{"route":"GET /_sandbox/ledger","mode":"drop_before"}`, `{"rout":"GET /x","mode":"delay"}`, `{"route":"GET /x","mode":"delay"} {}`,
	} {
		status, _, err := s.send(t, "POST", "/_sandbox/faults", body)
		require.NoError(t, err)
		require.Equal(t, 400, status, body)
	}
	require.Empty(t, s.control.faults.List())
}

func TestRequestsLedgerAndReset(t *testing.T) {
	at := time.Date(2026, 7, 28, 9, 0, 0, 0, time.UTC)
	s := newService(t, Options{Clock: func() time.Time { return at }})
	s.fault(t, `{"route":"POST /things/2","mode":"drop_after"}`)
	_, _, err := s.send(t, "POST", "/things/1?secret=1", "body")
	require.NoError(t, err)
	_, _, err = s.send(t, "POST", "/things/2", "")
	require.Error(t, err)
	require.Equal(t, []Request{
		{At: at, Method: "POST", Path: "/things/1", Status: 201},
		{At: at, Method: "POST", Path: "/things/2", Fault: ModeDropAfter},
	}, s.control.requests.List())
	_, ledger, err := s.send(t, "GET", "/_sandbox/ledger", "")
	require.NoError(t, err)
	require.JSONEq(t, `{"runs":2}`, ledger)
	status, _, err := s.send(t, "POST", "/_sandbox/reset", "")
	require.NoError(t, err)
	require.Equal(t, 204, status)
	require.EqualValues(t, 1, s.resets.Load())
	require.Empty(t, s.control.requests.List())
	require.Empty(t, s.control.faults.List())
}

func TestRequestRecordIsBounded(t *testing.T) {
	var requests Recent[Request]
	for i := range keptRequests + 5 {
		requests.Add(Request{Status: i})
	}
	recent := requests.List()
	require.Len(t, recent, keptRequests)
	require.Equal(t, 5, recent[0].Status)
	require.Equal(t, keptRequests+4, recent[keptRequests-1].Status)
}

func TestBodiesAreBounded(t *testing.T) {
	s := newService(t, Options{MaxBody: 4})
	status, _, err := s.send(t, "POST", "/things/1", "12345")
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	s.fault(t, `{"route":"POST /things/*","mode":"delay"}`) // it reads the body itself
	status, _, err = s.send(t, "POST", "/things/1", "12345")
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	require.Zero(t, s.runs.Load())
}

type replayed struct{ kind, id, doc string }

func reopen(t *testing.T, dir string) (*Log, []replayed) {
	t.Helper()
	var all []replayed
	log, err := OpenLog(dir, "state", func(kind, id string, doc json.RawMessage) error {
		all = append(all, replayed{kind, id, string(doc)})
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	return log, all
}

func TestLogReplaysTheLastState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	log, none := reopen(t, dir)
	require.Empty(t, none)
	require.NoError(t, log.Put("order", "1", map[string]int{"v": 1}))
	require.NoError(t, log.Put("order", "2", map[string]int{"v": 1}))
	require.NoError(t, log.PutAll(Entry{"order", "1", map[string]int{"v": 2}}, Entry{"stock", "1", "x"}, Entry{"order", "2", nil}))
	require.Error(t, log.Put("order", "3", make(chan int)))
	require.NoError(t, log.Close())
	require.NoError(t, log.Close())

	want := []replayed{{"order", "1", `{"v":2}`}, {"stock", "1", `"x"`}}
	for range 2 {
		log, all := reopen(t, dir)
		require.Equal(t, want, all)
		require.NoError(t, log.Close())
	}
	log, _ = reopen(t, dir)
	require.NoError(t, log.Truncate())
	require.NoError(t, log.Put("order", "9", 9))
	require.NoError(t, log.Close())
	_, all := reopen(t, dir)
	require.Equal(t, []replayed{{"order", "9", "9"}}, all)
}

func TestLogToleratesATornLastLine(t *testing.T) {
	good := `{"kind":"order","id":"1","doc":1}` + "\n"
	for name, torn := range map[string]string{
		"half a line": `{"batch":[{"kind":"order","id":"1","doc":2},{"ki`, "half with newline": `{"kind":` + "\n", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "state.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(good+torn), 0o600))
			log, all := reopen(t, dir)
			require.Equal(t, []replayed{{"order", "1", "1"}}, all)
			require.NoError(t, log.Put("order", "2", 2))
			require.NoError(t, log.Close())
			_, all = reopen(t, dir)
			require.Len(t, all, 2, "what follows a torn line is readable")
		})
	}
}

func TestLogRefusesABrokenLineInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	content := `{"kind":` + "\n" + `{"kind":"order","id":"1","doc":1}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.jsonl"), []byte(content), 0o600))
	_, err := OpenLog(dir, "state", func(string, string, json.RawMessage) error { return nil })
	require.ErrorContains(t, err, "line 1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.jsonl"), []byte(`{"kind":"order","id":"1","doc":1}`), 0o600))
	_, err = OpenLog(dir, "state", func(string, string, json.RawMessage) error { return errors.New("no") })
	require.ErrorContains(t, err, `order "1"`)
}

func TestLogInMemoryKeepsNothing(t *testing.T) {
	log, all := reopen(t, "")
	require.Empty(t, all)
	require.NoError(t, log.Put("order", "1", 1))
	require.NoError(t, log.Truncate())
	require.NoError(t, log.Close())
}
