//go:build linux

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/ports"
	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// A worker beside an ERP on premises: the real program with role erp, in a network of its own whose one way out is the site's proxy. Through it
// it reaches Temporal, by a certificate of a private authority, and nothing else: no central database, no gateway, no shop. What it did
// in the ERP it knows from its own journal alone, a file beside it.

// The names under which the proxy knows the world; no resolver does.
const (
	temporalOutside = "temporal.example:7233"
	facadeOutside   = "facade.example"
)

// premises is a site: its proxy, its certificates, its journal, and the process there.
type premises struct {
	rig     *rig
	dir     string
	program string
	proxy   *siteProxy
	port    int // of the proxy, as seen on the site
	metrics int
	env     map[string]string
	inside  *exec.Cmd
	log     *os.File
	apart   bool // it has a network of its own
}

// newPremises makes a site of one ERP beside a stack that serves all but the ERPs.
func newPremises(t *testing.T, erp string, more map[string]string) *premises {
	t.Helper()
	settings := map[string]string{
		"TENDERLINE_ERP": erp, "TENDERLINE_WORKER_ROLES": "workflows,cybersource", "TENDERLINE_POLICY_STEP_TIMEOUT": "4s",
		"TENDERLINE_CYBERSOURCE_TIMEOUT": "3s", "TENDERLINE_CALLBACK_TIMEOUT": "3s", "TENDERLINE_" + strings.ToUpper(erp) + "_TIMEOUT": "3s",
	}
	p := &premises{rig: start(t, stack.Options{Env: settings}), dir: t.TempDir(), program: binary(t), apart: networksOfTheirOwn(t)}
	free, err := ports.Free("127.0.0.1", 2)
	require.NoError(t, err)
	p.port, p.metrics = free[0], free[1]
	p.proxy = newSiteProxy(t, filepath.Join(p.dir, "proxy.sock"), temporalBehindTLS(t, p.dir, p.rig.stack.Temporal.Addr()), p.rig.stack.Env["TENDERLINE_SYSPRO_BASE_URL"])
	p.log, err = os.Create(filepath.Join(p.dir, "worker.log"))
	require.NoError(t, err)
	p.env = map[string]string{
		"TEMPORAL_ADDRESS":                   temporalOutside,
		"TEMPORAL_NAMESPACE":                 "default",
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH":   filepath.Join(p.dir, "ca.pem"),
		"TEMPORAL_TLS_CLIENT_CERT_PATH":      filepath.Join(p.dir, "client.pem"),
		"TEMPORAL_TLS_CLIENT_KEY_PATH":       filepath.Join(p.dir, "client.key"),
		"HTTPS_PROXY":                        "http://127.0.0.1:" + strconv.Itoa(p.port),
		"TENDERLINE_DATABASE_ERP_DSN":        "sqlite:" + p.journal(),
		"TENDERLINE_ENCRYPTION_KEYS":         p.rig.stack.Env["TENDERLINE_ENCRYPTION_KEYS"],
		"TENDERLINE_CYBERSOURCE_SETTLE_WAIT": "1s",
		"TENDERLINE_WORKER_ROLES":            "erp",
		"TENDERLINE_WORKER_ERPS":             erp,
		"TENDERLINE_METRICS_ADDRESS":         "127.0.0.1:" + strconv.Itoa(p.metrics),
	}
	for name, value := range p.rig.stack.Env {
		if strings.HasPrefix(name, "TENDERLINE_"+strings.ToUpper(erp)+"_") {
			p.env[name] = value
		}
	}
	for name, value := range more {
		p.env[name] = value
	}
	t.Cleanup(func() {
		p.kill(t)
		if t.Failed() {
			text, _ := os.ReadFile(p.log.Name())
			t.Logf("the log of the process on premises ends:\n%s", text[max(0, len(text)-8<<10):])
		}
		require.NoError(t, p.log.Close())
	})
	p.setup(t)
	return p
}

// journal is the file of the ERP operations beside the ERP.
func (p *premises) journal() string { return filepath.Join(p.dir, "erp-operations.db") }

// setup prepares the site, from within its network.
func (p *premises) setup(t *testing.T) {
	t.Helper()
	out, err := p.command("setup").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "erp journal")
	require.NotContains(t, string(out), "central journal")
	require.FileExists(t, p.journal())
}

// start runs the worker.
func (p *premises) start(t *testing.T) {
	t.Helper()
	p.inside = p.command("worker")
	p.inside.Stdout, p.inside.Stderr = p.log, p.log
	require.NoError(t, p.inside.Start())
}

// kill ends the worker and all around it as a power cut would.
func (p *premises) kill(t *testing.T) {
	t.Helper()
	if p.inside == nil {
		return
	}
	require.NoError(t, syscall.Kill(-p.inside.Process.Pid, syscall.SIGKILL))
	_ = p.inside.Wait()
	p.inside = nil
}

// command runs the program on the site: this test's own binary goes there first, to build up its network.
func (p *premises) command(arguments ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Env = []string{
		insideProgram + "=" + p.program, insideSocket + "=" + p.proxy.socket, insidePort + "=" + strconv.Itoa(p.port),
	}
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.apart {
		cmd.Env = append(cmd.Env, insideUnreachable+"="+strings.Join(p.elsewhere(), ","))
		apart(cmd)
	}
	return cmd
}

// elsewhere is everything that a worker in the middle reaches.
func (p *premises) elsewhere() []string {
	addresses := []string{p.rig.stack.Temporal.Addr()}
	for _, address := range []string{p.rig.API, p.rig.Gateway, p.rig.Shop, p.rig.stack.Env["TENDERLINE_SYSPRO_BASE_URL"]} {
		addresses = append(addresses, strings.TrimPrefix(address, "http://"))
	}
	return addresses
}

// sent tells whether the journal on the site holds a sales order of an order that was begun.
func (p *premises) sent(t *testing.T, orderID string) bool {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.journal()+"?mode=ro&_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var count int
	err = db.QueryRowContext(t.Context(), `SELECT count(*) FROM operations WHERE order_id = ? AND kind = 'sales_order'`, orderID).Scan(&count)
	require.NoError(t, err)
	return count > 0
}

// salesOrders counts what the ERP has of an order.
func (p *premises) salesOrders(t *testing.T, orderID string) int {
	t.Helper()
	books, err := p.rig.Books(t.Context(), orderID)
	require.NoError(t, err)
	return len(books.SalesOrders)
}

// TestWorkerOnPremisesWithSyspro kills the worker while the ERP still works at its sales order, which is made after its caller's death.
func TestWorkerOnPremisesWithSyspro(t *testing.T) {
	t.Parallel()
	p := newPremises(t, "syspro", map[string]string{"TENDERLINE_SYSPRO_BASE_URL": "http://" + facadeOutside})
	p.env["HTTP_PROXY"] = p.env["HTTPS_PROXY"]
	p.start(t)
	before := p.rig.id()
	p.rig.submit(t, p.rig.order(t, before, buy{}))
	p.rig.ended(t, before, "confirmed")

	id := p.rig.id()
	erp := p.rig.ERP.URL
	hits := p.rig.hits(t, erp, "delay")
	require.NoError(t, p.rig.Break(t.Context(), erp, world.Fault{Route: "POST /APIServices/SalesOrderService/AddSalesOrder", Mode: "delay", DelayMs: 60_000, Times: 1}))
	p.rig.submit(t, p.rig.order(t, id, buy{}))
	require.Eventually(t, func() bool { return p.rig.hits(t, erp, "delay") > hits }, patience, 10*time.Millisecond, "the ERP is not reached")
	p.kill(t)
	p.rig.mend(t)
	p.start(t)
	p.rig.ended(t, id, "confirmed")
	require.Equal(t, 1, p.salesOrders(t, id))
}

// TestWorkerOnPremisesWithSagePro kills the worker while it waits for its turn to write the sales order, and once more when the sales order is
// written and nobody was told: the way to Temporal is cut off at that moment, so that the next process has the journal and the ERP alone to
// know it from.
func TestWorkerOnPremisesWithSagePro(t *testing.T) {
	t.Parallel()
	p := newPremises(t, "sagepro", nil)
	p.start(t)
	first := p.rig.id()
	p.rig.submit(t, p.rig.order(t, first, buy{}))
	p.rig.ended(t, first, "confirmed")

	for _, test := range []struct {
		name    string
		written bool
	}{
		{"before it is written", false}, {"written, and nobody told", true},
	} {
		id := p.rig.id()
		order := p.rig.order(t, id, buy{})
		order["customer"].(map[string]any)["id"] = "C-" + first // whom the ERP knows: the sales order is the first thing to write
		turn := p.takeTurn(t)
		p.rig.submit(t, order)
		require.Eventually(t, func() bool { return p.sent(t, id) }, patience, 10*time.Millisecond, "%s: the ERP is not reached", test.name)
		if test.written {
			p.proxy.cutOff(true)
			turn()
			require.Eventually(t, func() bool { return p.salesOrders(t, id) == 1 }, patience, 10*time.Millisecond, "%s: no sales order", test.name)
			p.kill(t)
			p.proxy.cutOff(false)
		} else {
			p.kill(t)
			turn()
			require.Zero(t, p.salesOrders(t, id), test.name)
		}
		require.Equal(t, "booking", p.rig.await(t, id, func(world.OrderView) bool { return true }).Status, "the middle knows of no sales order")
		p.start(t)
		p.rig.ended(t, id, "confirmed")
		require.Equal(t, 1, p.salesOrders(t, id), test.name)
	}
	var drift struct {
		Differences []any `json:"differences"`
	}
	p.rig.get(t, p.rig.ERP.URL+"/_sandbox/drift", &drift)
	require.Empty(t, drift.Differences)
}

// takeTurn takes the one turn to write that a database file has, as a person's long transaction would; end gives it back.
func (p *premises) takeTurn(t *testing.T) (end func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.env["TENDERLINE_SAGEPRO_DSN"]+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	turn, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	return func() { require.NoError(t, errors.Join(turn.Rollback(), db.Close())) }
}

// siteProxy is the proxy of a site: it opens tunnels to Temporal alone, and passes requests to the site's own facade. It listens on a socket file,
// which is seen from every network.
type siteProxy struct {
	socket   string
	temporal string
	facade   *httputil.ReverseProxy

	mutex  sync.Mutex
	cut    bool // nothing that is sent arrives
	denied []string
}

func newSiteProxy(t *testing.T, socket, temporal, facade string) *siteProxy {
	t.Helper()
	target, err := url.Parse(facade)
	require.NoError(t, err)
	p := &siteProxy{socket: socket, temporal: temporal, facade: httputil.NewSingleHostReverseProxy(target)}
	p.facade.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // who is killed breaks its requests off
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		p.mutex.Lock()
		defer p.mutex.Unlock()
		require.Empty(t, p.denied, "the worker on premises asked for what it must not need")
	})
	return p
}

// cutOff makes the proxy swallow whatever passes, or pass it again. What was swallowed is gone.
func (p *siteProxy) cutOff(cut bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.cut = cut
}

func (p *siteProxy) isCut() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.cut
}

// ServeHTTP opens a tunnel, or passes a request on.
func (p *siteProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case p.isCut():
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodConnect && r.Host == temporalOutside:
		p.tunnel(w, r)
	case r.Method != http.MethodConnect && r.Host == facadeOutside:
		p.facade.ServeHTTP(w, r)
	default:
		p.mutex.Lock()
		p.denied = append(p.denied, r.Method+" "+r.Host)
		p.mutex.Unlock()
		w.WriteHeader(http.StatusForbidden)
	}
}

func (p *siteProxy) tunnel(w http.ResponseWriter, r *http.Request) {
	far, err := new(net.Dialer).DialContext(r.Context(), "tcp", p.temporal)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = far.Close()
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	both(func() { p.pass(far, buffered) }, func() { p.pass(near, far) }, near, far)
}

// pass copies while the proxy is not cut off; then it swallows.
func (p *siteProxy) pass(to io.Writer, from io.Reader) {
	_, _ = io.Copy(writerFunc(func(bytes []byte) (int, error) {
		if p.isCut() {
			return len(bytes), nil
		}
		return to.Write(bytes)
	}), from)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(bytes []byte) (int, error) { return f(bytes) }

// both runs the two directions of a connection; when one ends, both ends are closed.
func both(there, back func(), ends ...io.Closer) {
	done := make(chan struct{}, 2)
	for _, direction := range []func(){there, back} {
		go func() { direction(); done <- struct{}{} }()
	}
	<-done
	for _, end := range ends {
		_ = end.Close()
	}
	<-done
}

// relay joins every connection that a listener takes to a new one, until the listener closes.
func relay(listener net.Listener, dial func() (net.Conn, error)) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			far, err := dial()
			if err != nil {
				_ = near.Close()
				return
			}
			both(func() { _, _ = io.Copy(far, near) }, func() { _, _ = io.Copy(near, far) }, near, far)
		}()
	}
}

// temporalBehindTLS stands before the embedded Temporal server as a cloud does: TLS of a private authority, for callers who have a certificate of
// it. It leaves in the folder what a caller needs, and gives its address.
func temporalBehindTLS(t *testing.T, dir, temporal string) string {
	t.Helper()
	authority, key := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "private authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	host, _, err := net.SplitHostPort(temporalOutside)
	require.NoError(t, err)
	server, serverKey := certificate(t, &x509.Certificate{DNSNames: []string{host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, authority, key)
	client, clientKey := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "erp worker"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, authority, key)
	encodedKey, err := x509.MarshalPKCS8PrivateKey(clientKey)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: authority.Raw}, "client.pem": {Type: "CERTIFICATE", Bytes: client.Raw}, "client.key": {Type: "PRIVATE KEY", Bytes: encodedKey},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(authority)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}}, NextProtos: []string{"h2"},
		ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		relay(listener, func() (net.Conn, error) { return (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", temporal) })
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().String()
}

// certificate issues one, signed by its authority; without one by itself.
func certificate(t *testing.T, template, authority *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	if authority == nil {
		authority, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), by)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return made, key
}

// What the process that builds up the site's network is told.
const (
	insideProgram     = "ONPREM_PROGRAM"
	insideSocket      = "ONPREM_PROXY_SOCKET"
	insidePort        = "ONPREM_PROXY_PORT"
	insideUnreachable = "ONPREM_UNREACHABLE"
)

// init lets the test's binary be the site: in its network it gives the proxy an address there, and runs the program.
func init() {
	if program := os.Getenv(insideProgram); program != "" {
		os.Exit(site(program, os.Args[1:]))
	}
}

// site runs a program on the site and gives its exit code.
func site(program string, arguments []string) int {
	if elsewhere := os.Getenv(insideUnreachable); elsewhere != "" {
		if err := errors.Join(loopbackUp(), unreachable(strings.Split(elsewhere, ","))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+os.Getenv(insidePort))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	socket := os.Getenv(insideSocket)
	go relay(listener, func() (net.Conn, error) { return (&net.Dialer{Timeout: 5 * time.Second}).Dial("unix", socket) })
	run := exec.Command(program, arguments...)
	run.Stdout, run.Stderr = os.Stdout, os.Stderr
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ONPREM_") {
			run.Env = append(run.Env, variable)
		}
	}
	if err := run.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// unreachable holds that nobody answers at addresses that do answer elsewhere.
func unreachable(addresses []string) error {
	for _, address := range addresses {
		connection, err := (&net.Dialer{Timeout: time.Second}).Dial("tcp", address)
		if err == nil {
			_ = connection.Close()
			return fmt.Errorf("the site reaches %s", address)
		}
	}
	return nil
}

// loopbackUp switches the loopback device of a new network on.
func loopbackUp() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return fmt.Errorf("switch loopback on: %w", err)
	}
	defer func() { _ = syscall.Close(socket) }()
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP}
	copy(request.name[:], "lo")
	if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); code != 0 {
		return fmt.Errorf("switch loopback on: %w", code)
	}
	return nil
}

// apart gives a process a network of its own, without any right of the administrator.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
}

// networksOfTheirOwn tells whether the kernel gives networks to whoever asks. Where it does not, the process on premises has nothing but its
// environment to keep it apart: it is told of no address but the proxy's, and the proxy tells of every other one that it was asked for.
func networksOfTheirOwn(t *testing.T) bool {
	t.Helper()
	probe := exec.CommandContext(t.Context(), "/bin/true")
	probe.SysProcAttr = &syscall.SysProcAttr{}
	apart(probe)
	if err := probe.Run(); err != nil {
		fmt.Fprintln(os.Stderr, t.Name()+": this kernel gives no network namespaces ("+err.Error()+"): the worker on premises is kept apart by its environment alone")
		return false
	}
	return true
}
