package engine_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/internal/keyring"
)

// A worker beside an ERP on premises has one way out: a proxy of its site, through which Temporal is reached with a certificate of its own,
// at a server that a private authority vouches for. Nothing of that is a setting of ours: the SDK reads TEMPORAL_TLS_..., gRPC reads
// HTTPS_PROXY. These tests hold that Dial leaves both in force.

// temporalName is the server's name; no resolver knows it, so that only the proxy finds the server.
const temporalName = "temporal.example"

const proxyUser = "tenderline:pr0xy-s3cret"

// TestMain lets the test binary be the process on premises: gRPC reads the proxy's variables once in a process's life.
func TestMain(m *testing.M) {
	if os.Getenv("ENGINE_TEST_DIAL") == "" {
		os.Exit(m.Run())
	}
	os.Exit(dialOnPremises())
}

// dialOnPremises connects with nothing but the environment, says what came of it, and gives the exit code.
func dialOnPremises() int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keys, err := keyring.New("a", map[string][]byte{"a": make([]byte, keyring.KeySize)})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	connection, err := engine.Dial(ctx, engine.Options{Keyring: keys})
	if err != nil {
		fmt.Println("refused:", err)
		return 1
	}
	defer connection.Close()
	fmt.Println("connected to namespace", connection.Namespace)
	return 0
}

// site is what a worker on premises finds there: a certificate authority's files, and the proxy.
type site struct {
	dir     string
	proxy   *proxy
	backend string // address of the Temporal server, which the proxy alone reaches
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	private := newAuthority(t, "private authority")
	s.write(t, "ca.pem", private.pem)
	s.write(t, "other-ca.pem", newAuthority(t, "another authority").pem)
	server := private.issue(t, temporalName, x509.ExtKeyUsageServerAuth)
	client := private.issue(t, "erp-worker", x509.ExtKeyUsageClientAuth)
	s.write(t, "client.pem", client.certificate)
	s.write(t, "client.key", client.key)
	s.backend = temporalBehindTLS(t, server, private)
	s.proxy = newProxy(t, map[string]string{net.JoinHostPort(temporalName, "7233"): s.backend})
	return s
}

func (s *site) write(t *testing.T, name string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), text, 0o600))
}

// env is all that the process on premises is told.
func (s *site) env(changes map[string]string) []string {
	values := map[string]string{
		"ENGINE_TEST_DIAL":                 "1",
		"HTTPS_PROXY":                      "http://" + proxyUser + "@" + s.proxy.address,
		"TEMPORAL_ADDRESS":                 net.JoinHostPort(temporalName, "7233"),
		"TEMPORAL_NAMESPACE":               "shop",
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH": filepath.Join(s.dir, "ca.pem"),
		"TEMPORAL_TLS_CLIENT_CERT_PATH":    filepath.Join(s.dir, "client.pem"),
		"TEMPORAL_TLS_CLIENT_KEY_PATH":     filepath.Join(s.dir, "client.key"),
	}
	for name, value := range changes {
		values[name] = value
	}
	var env []string
	for name, value := range values {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// TestDialFromPremises: through the proxy, with a private authority and a client certificate; and not without any one of them.
func TestDialFromPremises(t *testing.T) {
	s := newSite(t)
	for name, test := range map[string]struct {
		changes map[string]string
		want    string // "": it connects
		asked   bool   // the proxy was
	}{
		"with all that it needs": {asked: true},
		"no proxy": {
			changes: map[string]string{"HTTPS_PROXY": ""}, want: "refused",
		},
		"the proxy is not for Temporal": {
			changes: map[string]string{"NO_PROXY": ".example"}, want: "refused",
		},
		"a stranger at the proxy": {
			changes: map[string]string{"HTTPS_PROXY": "http://" + s.proxy.address}, want: "407", asked: true,
		},
		"no client certificate": {
			changes: map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": "", "TEMPORAL_TLS_CLIENT_KEY_PATH": ""}, want: "refused", asked: true,
		},
		"a server that this authority does not vouch for": {
			changes: map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": filepath.Join(s.dir, "other-ca.pem")}, want: "unknown authority", asked: true,
		},
		"the system's authorities alone": {
			changes: map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ""}, want: "unknown authority", asked: true,
		},
		"another server's name": {
			changes: map[string]string{"TEMPORAL_TLS_SERVER_NAME": "elsewhere.example"}, want: "not elsewhere.example", asked: true,
		},
		"without TLS": {
			changes: map[string]string{
				"TEMPORAL_TLS": "false", "TEMPORAL_TLS_CLIENT_CERT_PATH": "", "TEMPORAL_TLS_CLIENT_KEY_PATH": "", "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "",
			}, want: "refused", asked: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.proxy.count()
			program, err := os.Executable()
			require.NoError(t, err)
			process := exec.CommandContext(t.Context(), program)
			process.Env = s.env(test.changes)
			out, err := process.CombinedOutput()
			require.NotContains(t, string(out), "pr0xy-s3cret")
			if test.want == "" {
				require.NoError(t, err, string(out))
				require.Equal(t, "connected to namespace shop\n", string(out))
			} else {
				require.Error(t, err)
				require.Contains(t, string(out), "refused: connect to temporal at temporal.example:7233")
				require.Contains(t, string(out), test.want)
			}
			require.Equal(t, test.asked, s.proxy.count() > before, "the way to Temporal")
		})
	}
}

// answers is as much of a Temporal service as connecting needs.
type answers struct {
	workflowservice.UnimplementedWorkflowServiceServer
}

func (answers) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{ServerVersion: "1.32.0", Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

// temporalBehindTLS is a Temporal server that only talks to who has a certificate of the authority.
func temporalBehindTLS(t *testing.T, certificate issued, trusted *authority) string {
	t.Helper()
	pair, err := tls.X509KeyPair(certificate.certificate, certificate.key)
	require.NoError(t, err)
	clients := x509.NewCertPool()
	clients.AddCert(trusted.certificate)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})))
	workflowservice.RegisterWorkflowServiceServer(server, answers{})
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return listener.Addr().String()
}

// proxy is a CONNECT proxy that knows its users, and where a name leads to.
type proxy struct {
	address string
	routes  map[string]string

	mutex sync.Mutex
	asked int
}

func newProxy(t *testing.T, routes map[string]string) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{address: listener.Addr().String(), routes: routes}
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return p
}

func (p *proxy) count() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.asked
}

// ServeHTTP opens a tunnel to what it has a route for.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mutex.Lock()
	p.asked++
	p.mutex.Unlock()
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(proxyUser)) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	target, known := p.routes[r.Host]
	if r.Method != http.MethodConnect || !known {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	far, err := new(net.Dialer).DialContext(r.Context(), "tcp", target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = far.Close()
		return
	}
	tunnel(near, buffered, far)
}

// tunnel passes bytes both ways until one side ends.
func tunnel(near net.Conn, buffered *bufio.ReadWriter, far net.Conn) {
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(far, buffered); done <- struct{}{} }()
	go func() { _, _ = io.Copy(near, far); done <- struct{}{} }()
	<-done
	_, _ = near.Close(), far.Close()
	<-done
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// issued is a certificate with its key, both PEM.
type issued struct{ certificate, key []byte }

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{certificate: certificate, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return issued{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}
